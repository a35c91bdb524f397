package lockgate.test.rbac

import data.lockgate.lib.registry
import data.lockgate.policy.rbac

facts := {
	"projects": {
		"acme/infra/vpc/default/": {"owners": {"net": true, "left": false}, "ci": {"ci@acme": true}, "channel": "#net"},
		"acme/infra/terraform/sandbox": {"owners": {"apps": true}},
	},
	"oncall": {"net": {"dana": true}, "apps": {"erin": true}},
}

request(action) := {
	"action": action,
	"subject": {"id": "ann", "kind": "token", "roles": []},
	"actor": {"id": "ann", "teams": ["net"], "vouched_by": ""},
	"resource": {"key": "acme/infra/vpc/default/", "namespace": "acme/infra"},
	"want": {"reason": ""},
}

changed(action, changes) := object.union(request(action), changes)

test_member_of_an_owning_team_acquires if {
	rbac.grant == {"member of an owning team"} with input as request("acquire") with data.facts as facts
	rbac.deny == set() with input as request("acquire") with data.facts as facts
}

test_a_team_that_no_longer_owns_gets_nothing if {
	i := changed("acquire", {"actor": {"id": "ann", "teams": ["left", "other"]}})
	rbac.grant == set() with input as i with data.facts as facts
}

test_ci_acquires_what_it_is_bound_to if {
	i := changed("acquire", {"subject": {"id": "ci@acme"}, "actor": {"id": "ci@acme", "teams": []}})
	rbac.grant == {"CI identity bound to the project"} with input as i with data.facts as facts
	elsewhere := object.union(i, {"resource": {"key": "terraform/sandbox"}})
	rbac.grant == set() with input as elsewhere with data.facts as facts
}

test_being_an_owner_grants_nothing_but_acquire if {
	every action in ["force_release", "reprioritize", "admin"] {
		rbac.grant == set() with input as request(action) with data.facts as facts
	}
	i := changed("admin", {"subject": {"id": "ci@acme"}, "actor": {"id": "ci@acme", "teams": []}})
	rbac.grant == set() with input as i with data.facts as facts
}

test_unknown_project_is_refused if {
	i := changed("acquire", {"resource": {"key": "acme/infra/new/default/"}})
	rbac.grant == set() with input as i with data.facts as facts
	rbac.deny == {{"code": "rbac.unknown_project", "msg": "no project is registered for acme/infra/new/default/"}} with input as i
		with data.facts as facts
}

test_unknown_project_is_open_when_the_facts_say_so if {
	i := changed("acquire", {"resource": {"key": "acme/infra/new/default/"}})
	f := object.union(facts, {"defaults": {"unknown_project": "allow"}})
	rbac.grant == {"unknown projects are open"} with input as i with data.facts as f
	rbac.deny == set() with input as i with data.facts as f
	rbac.grant == {"member of an owning team"} with input as request("acquire") with data.facts as f
}

test_unknown_project_can_be_read if {
	i := changed("read", {"resource": {"key": "acme/infra/new/default/"}})
	rbac.deny == set() with input as i with data.facts as facts
	f := object.union(facts, {"defaults": {"unknown_project": "allow"}})
	rbac.grant == {"authenticated"} with input as i with data.facts as f
}

test_token_decides_about_release_and_renew if {
	every action in ["release", "renew"] {
		rbac.grant == {"whoever has the token"} with input as request(action) with data.facts as facts
	}
}

test_anonymous_reads_nothing if {
	rbac.grant == {"authenticated"} with input as request("read") with data.facts as facts
	i := changed("read", {"subject": {"kind": "anonymous"}})
	rbac.grant == set() with input as i with data.facts as facts
}

test_administrators if {
	every action in ["admin", "force_release", "reprioritize"] {
		i := changed(action, {"subject": {"roles": ["admin"]}})
		rbac.grant == {"administrator"} with input as i with data.facts as facts
	}
	lock := changed("acquire", {"subject": {"roles": ["admin"]}, "actor": {"teams": []}})
	rbac.grant == set() with input as lock with data.facts as facts
}

test_an_administrator_that_acts_for_somebody_is_none if {
	i := changed("admin", {"subject": {"roles": ["admin", "delegate"]}, "actor": {"id": "bob", "vouched_by": "ann"}})
	rbac.grant == set() with input as i with data.facts as facts
}

test_on_call_steps_in if {
	dana := {"subject": {"id": "dana"}, "actor": {"id": "dana", "teams": []}}
	every action in ["force_release", "reprioritize"] {
		i := changed(action, dana)
		rbac.grant == {"on call for an owning team"} with input as i with data.facts as facts
	}
	i := changed("admin", dana)
	rbac.grant == set() with input as i with data.facts as facts
	erin := changed("force_release", {"subject": {"id": "erin"}, "actor": {"id": "erin", "teams": []}})
	rbac.grant == set() with input as erin with data.facts as facts
}

test_nobody_speaks_for_others_unasked if {
	i := changed("read", {"actor": {"id": "bob", "vouched_by": "ann"}})
	rbac.deny == {{"code": "rbac.delegate", "msg": "ann may not act for bob"}} with input as i with data.facts as facts
}

test_a_delegate_speaks_for_those_it_names if {
	i := changed("read", {"subject": {"roles": ["delegate"]}, "actor": {"id": "bob", "vouched_by": "ann"}})
	rbac.deny == set() with input as i with data.facts as facts
	other := object.union(i, {"actor": {"vouched_by": "somebody"}})
	count(rbac.deny) == 1 with input as other with data.facts as facts
}

test_force_needs_a_reason if {
	denied := {{"code": "rbac.reason", "msg": "a forced release needs a reason of at least 10 characters"}}
	rbac.deny == denied with input as changed("force_release", {"want": {"reason": "too short"}}) with data.facts as facts
	rbac.deny == set() with input as changed("force_release", {"want": {"reason": "apply hangs"}}) with data.facts as facts
}

test_owners_hear_of_force if {
	rbac.obligation == {{"type": "notify", "to": "#net", "event": "force_release"}} with input as request("force_release")
		with data.facts as facts
	rbac.obligation == set() with input as request("acquire") with data.facts as facts
}

test_registry_puts_the_namespace_in_front_of_a_foreign_key if {
	i := {"resource": {"key": "terraform/sandbox", "namespace": "acme/infra"}}
	registry.name == "acme/infra/terraform/sandbox" with input as i
	registry.project == facts.projects["acme/infra/terraform/sandbox"] with input as i with data.facts as facts
}

test_registry_takes_a_key_of_the_default_namespace_as_it_is if {
	every ns in ["", "default"] {
		registry.name == "db" with input as {"resource": {"key": "db", "namespace": ns}}
	}
}
