package lockgate.test.destroy_guard

import data.lockgate.policy.destroy_guard

facts := {
	"defaults": {"max_destroys": 5},
	"projects": {"acme/infra/vpc/default/": {"max_destroys": 0}, "acme/infra/dns/default/": {}},
}

request(project, destroys, changes) := object.union(
	{
		"action": "acquire",
		"command": {"name": "apply", "destroys": destroys},
		"resource": {"key": sprintf("acme/infra/%s/default/", [project]), "namespace": "acme/infra"},
		"pull": {"labels": [], "source": "vcs"},
	},
	changes,
)

many(destroys, most) := {{
	"code": "destroy_guard.many",
	"msg": sprintf("the plan destroys %d resources, %d may go at once: label the pull request destroy-approved", [destroys, most]),
}}

test_a_few_may_go if {
	destroy_guard.deny == set() with input as request("dns", 5, {}) with data.facts as facts
}

test_many_may_not if {
	destroy_guard.deny == many(6, 5) with input as request("dns", 6, {}) with data.facts as facts
	destroy_guard.deny == many(6, 5) with input as request("unknown", 6, {}) with data.facts as facts
}

test_a_project_has_its_own_bound if {
	destroy_guard.deny == many(1, 0) with input as request("vpc", 1, {}) with data.facts as facts
	destroy_guard.deny == set() with input as request("vpc", 0, {}) with data.facts as facts
}

test_a_label_lifts_it if {
	i := request("dns", 6, {"pull": {"labels": ["destroy-approved"]}})
	destroy_guard.deny == set() with input as i with data.facts as facts
	own := request("dns", 6, {"pull": {"labels": ["destroy-approved"], "source": "caller"}})
	destroy_guard.deny == many(6, 5) with input as own with data.facts as facts
}

test_plans_destroy_nothing if {
	i := request("dns", 6, {"command": {"name": "plan"}})
	destroy_guard.deny == set() with input as i with data.facts as facts
	destroy_guard.warn == set() with input as i with data.facts as facts
}

test_whoever_destroys_hears_how_much if {
	destroy_guard.warn == {{"code": "destroy_guard.some", "msg": "the plan destroys 2 resources"}} with input as request("dns", 2, {})
		with data.facts as facts
	destroy_guard.warn == set() with input as request("dns", 0, {}) with data.facts as facts
}

test_without_bounds_all_may_go if {
	destroy_guard.deny == set() with input as request("dns", 99, {}) with data.facts as {}
}
