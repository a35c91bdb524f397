package lockgate.test.priority

import data.lockgate.policy.priority

facts := {
	"projects": {
		"acme/infra/vpc/default/": {"owners": {"net": true}, "tier": 1},
		"acme/infra/app/default/": {"owners": {"apps": true}, "tier": 2},
	},
	"oncall": {"net": {"dana": true}},
	"bots": ["renovate[bot]"],
	"incidents": {
		"INC-1": {"state": "open", "responders": {"dana": true}},
		"INC-2": {"state": "closed", "responders": {"dana": true}},
	},
}

plain := {
	"actor": {"id": "ann"},
	"resource": {"key": "acme/infra/app/default/", "namespace": "acme/infra", "environment": "dev"},
	"pull": {"labels": [], "author": "ann", "source": "vcs"},
	"command": {"name": "plan"},
	"want": {"incident": ""},
}

changed(changes) := object.union(plain, changes)

test_an_ordinary_request_has_no_points if {
	priority.points == set() with input as plain with data.facts as facts
	priority.level_grant.high == set() with input as plain with data.facts as facts
	priority.level_grant.critical == set() with input as plain with data.facts as facts
}

test_a_hotfix_label_counts if {
	every source in ["vcs", "atlantis"] {
		i := changed({"pull": {"labels": ["hotfix"], "source": source}})
		priority.level_grant.high == {"hotfix"} with input as i with data.facts as facts
		priority.points == {{"why": "hotfix", "points": 100}} with input as i with data.facts as facts
	}
}

test_a_hotfix_label_of_the_callers_own_does_not_count if {
	i := changed({"pull": {"labels": ["hotfix"], "source": "caller"}})
	priority.level_grant.high == set() with input as i with data.facts as facts
	priority.points == set() with input as i with data.facts as facts
}

test_on_call_may_be_high_where_it_is_on_call if {
	there := changed({"actor": {"id": "dana"}, "resource": {"key": "acme/infra/vpc/default/"}})
	priority.level_grant.high == {"on call for an owning team"} with input as there with data.facts as facts
	priority.level_grant.high == set() with input as changed({"actor": {"id": "dana"}}) with data.facts as facts
}

test_a_responder_may_be_critical if {
	i := changed({"actor": {"id": "dana"}, "want": {"incident": "INC-1"}})
	priority.level_grant.critical == {"responder in INC-1"} with input as i with data.facts as facts
}

test_nobody_else_may_be_critical if {
	closed := changed({"actor": {"id": "dana"}, "want": {"incident": "INC-2"}})
	priority.level_grant.critical == set() with input as closed with data.facts as facts
	other := changed({"want": {"incident": "INC-1"}})
	priority.level_grant.critical == set() with input as other with data.facts as facts
}

test_production_goes_first if {
	i := changed({"resource": {"environment": "prod"}})
	priority.points == {{"why": "production", "points": 50}} with input as i with data.facts as facts
}

test_first_tier_goes_first if {
	i := changed({"resource": {"key": "acme/infra/vpc/default/"}})
	priority.points == {{"why": "first tier", "points": 30}} with input as i with data.facts as facts
}

test_apply_goes_before_plan if {
	i := changed({"command": {"name": "apply"}})
	priority.points == {{"why": "apply", "points": 40}} with input as i with data.facts as facts
}

test_bots_go_last if {
	i := changed({"pull": {"author": "renovate[bot]"}})
	priority.points == {{"why": "automated update", "points": -150}} with input as i with data.facts as facts
}
