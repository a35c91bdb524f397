package lockgate.test.pull

import data.lockgate.policy.pull

facts := {"projects": {
	"acme/infra/vpc/default/": {"branches": {"main": true, "release": true, "old": false}, "approvals": 2},
	"acme/infra/dns/default/": {},
}}

request(key, changes) := object.union(
	{
		"action": "acquire",
		"actor": {"id": "bob"},
		"command": {"name": "apply"},
		"resource": {"key": key, "namespace": "acme/infra", "repo": "acme/infra"},
		"pull": {
			"num": 7, "draft": false, "fork": false, "base": "main", "source": "vcs",
			"author": "ann", "approvers": ["cleo", "dana"],
		},
	},
	changes,
)

vpc(changes) := request("acme/infra/vpc/default/", changes)

test_a_pull_request_in_order_changes if pull.deny == set() with input as vpc({}) with data.facts as facts

test_drafts_wait if {
	denied := {{"code": "pull.draft", "msg": "pull request 7 is a draft: mark it ready first"}}
	pull.deny == denied with input as vpc({"pull": {"draft": true}}) with data.facts as facts
}

test_forks_wait if {
	denied := {{"code": "pull.fork", "msg": "pull request 7 comes from a fork: push the branch to acme/infra"}}
	pull.deny == denied with input as vpc({"pull": {"fork": true}}) with data.facts as facts
}

test_only_into_the_branches_of_the_project if {
	denied := {{"code": "pull.base", "msg": "pull request 7 goes into topic, and this project is changed from main, old, release"}}
	pull.deny == denied with input as vpc({"pull": {"base": "topic"}}) with data.facts as facts
	pull.deny == set() with input as vpc({"pull": {"base": "release"}}) with data.facts as facts
	count(pull.deny) == 1 with input as vpc({"pull": {"base": "old"}}) with data.facts as facts
}

test_approvals_are_counted if {
	denied := {{"code": "pull.approvals", "msg": "1 of 2 approvals; those of author and actor do not count"}}
	every approvers in [["cleo"], ["cleo", "ann"], ["cleo", "bob"]] {
		pull.deny == denied with input as vpc({"pull": {"approvers": approvers}}) with data.facts as facts
	}
}

test_approvals_of_the_callers_own_do_not_count if {
	codes := {d.code | some d in pull.deny} with input as vpc({"pull": {"source": "caller"}}) with data.facts as facts
	codes == {"pull.approvals"}
}

test_no_pull_request_has_no_approvals if {
	codes := {d.code | some d in pull.deny} with input as vpc({"pull": {"source": "", "base": "", "approvers": []}}) with data.facts as facts
	codes == {"pull.approvals"}
}

test_what_the_registry_does_not_ask_for_is_not_asked if {
	i := request("acme/infra/dns/default/", {"pull": {"base": "topic", "approvers": []}})
	pull.deny == set() with input as i with data.facts as facts
}

test_plans_need_nothing if {
	i := vpc({"command": {"name": "plan"}, "pull": {"draft": true, "fork": true, "base": "topic", "approvers": []}})
	pull.deny == set() with input as i with data.facts as facts
}
