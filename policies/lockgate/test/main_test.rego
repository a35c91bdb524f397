package lockgate.test.main

import data.lockgate

denied := {"code": "c", "msg": "m"}

request := {"resource": {"org": "acme"}, "want": {"level": "normal"}}

asking(level) := object.union(request, {"want": {"level": level}})

decision(policies, orgs, operator) := d if {
	d := lockgate.decision with data.lockgate.policy as policies
		with data.lockgate.org as orgs
		with data.operator as operator
		with input as request
}

wanting(level, policies, operator) := l if {
	l := lockgate.decision.priority.level with data.lockgate.policy as policies
		with data.lockgate.org as {}
		with data.operator as operator
		with input as asking(level)
}

test_nothing_said_means_refused if {
	decision({}, {}, {}) == {
		"contract": "lockgate/v1",
		"allow": false,
		"grants": set(),
		"deny": set(),
		"warn": set(),
		"shadow": set(),
		"priority": {"level": "normal", "value": 400, "points": set()},
		"limits": {},
		"preempt": {"allowed": false, "below": 0, "grace_s": 0},
		"preemptible": false,
		"deadlock_action": "cancel_wait",
		"obligations": set(),
	}
}

test_one_grant_allows if {
	d := decision({"a": {"grant": {"why"}}}, {}, {})
	d.allow == true
	d.grants == {{"policy": "a", "why": "why"}}
}

test_one_denial_refuses if {
	d := decision({"a": {"grant": {"why"}}, "b": {"deny": {denied}}}, {}, {})
	d.allow == false
	d.deny == {{"policy": "b", "code": "c", "msg": "m"}}
}

test_a_denial_in_warn_warns if {
	d := decision({"a": {"grant": {"why"}, "deny": {denied}}}, {}, {"enforcement": {"a": "warn"}})
	d.allow == true
	d.deny == set()
	d.warn == {{"policy": "a", "code": "c", "msg": "m"}}
}

test_a_warning_warns if {
	d := decision({"a": {"warn": {denied}}}, {}, {})
	d.warn == {{"policy": "a", "code": "c", "msg": "m"}}
	d.deny == set()
}

test_an_unknown_mode_denies if {
	d := decision({"a": {"deny": {denied}, "max_queue": {3}}}, {}, {"enforcement": {"a": "off"}})
	d.deny == {{"policy": "a", "code": "c", "msg": "m"}}
	d.limits == {"queue": 3}
}

test_nothing_in_shadow_counts if {
	shadowed := {
		"grant": {"why"},
		"deny": {denied},
		"warn": {denied},
		"points": {{"why": "p", "points": 5}},
		"level_grant": {"high": {"why"}},
		"max_ttl_s": {1},
		"max_wait_s": {1},
		"max_queue": {1},
		"preempt_below": {1},
		"obligation": {{"type": "t"}},
		"deadlock_action": {"revoke"},
	}
	operator := {"enforcement": {"a": "shadow"}}
	d := decision({"a": shadowed}, {}, operator)
	d == object.union(decision({}, {}, {}), {"shadow": {{"policy": "a", "code": "c", "msg": "m"}}})
	wanting("high", {"a": shadowed}, operator) == "normal"
}

test_an_organisation_denies_warns_obliges_and_is_in_shadow if {
	orgs := {"acme": {"deny": {denied}, "warn": {denied}, "obligation": {{"type": "t"}}}, "other": {"deny": {denied}}}
	d := decision({}, orgs, {})
	d.deny == {{"policy": "org/acme", "code": "c", "msg": "m"}}
	d.warn == {{"policy": "org/acme", "code": "c", "msg": "m"}}
	d.obligations == {{"type": "t"}}
	shadow := decision({}, orgs, {"enforcement": {"org/acme": "shadow"}})
	shadow.deny == set()
	shadow.warn == set()
	shadow.obligations == set()
	shadow.shadow == {{"policy": "org/acme", "code": "c", "msg": "m"}}
}

test_an_organisation_grants_only_when_the_operator_says_so if {
	orgs := {"acme": {"grant": {"why"}}}
	decision({}, orgs, {}).grants == set()
	decision({}, orgs, {"may_grant": ["other"]}).grants == set()
	decision({}, orgs, {"may_grant": ["acme"]}).grants == {{"policy": "org/acme", "why": "why"}}
	decision({}, orgs, {"may_grant": ["acme"], "enforcement": {"org/acme": "shadow"}}).grants == set()
}

test_an_organisation_moves_within_its_band if {
	weigh(30) == {{"policy": "org/acme", "why": "weight within the organisation", "points": 30}}
	weigh(500) == {{"policy": "org/acme", "why": "weight within the organisation", "points": 100}}
	weigh(-500) == {{"policy": "org/acme", "why": "weight within the organisation", "points": -100}}
	weigh(0) == set()
	shadowed := decision({}, {"acme": {"points": {{"why": "w", "points": 5}}}}, {"enforcement": {"org/acme": "shadow"}})
	shadowed.priority.points == set()
}

weigh(n) := decision({}, {"acme": {"points": {{"why": "w", "points": n}}}}, {}).priority.points

test_high_and_critical_must_be_granted if {
	every level in ["high", "critical"] {
		wanting(level, {}, {}) == "normal"
		wanting(level, {"a": {"level_grant": {level: {"why"}}}}, {}) == level
		wanting(level, {"a": {"level_grant": {level: set()}}}, {}) == "normal"
	}
	wanting("critical", {"a": {"level_grant": {"high": {"why"}}}}, {}) == "normal"
}

test_low_needs_no_leave if {
	wanting("low", {}, {}) == "low"
	wanting("normal", {"a": {"level_grant": {"normal": {"why"}}}}, {}) == "normal"
}

test_points_add_up_and_are_clamped if {
	value([10, -30]) == 380
	value([700]) == 1000
	value([-700]) == 0
}

value(list) := decision({"a": {"points": {{"why": sprintf("%d", [n]), "points": n} | some n in list}}}, {}, {}).priority.value

test_a_level_has_its_base if {
	bases := {level: n |
		some level in ["low", "normal", "high", "critical"]
		n := lockgate.decision.priority.value with data.lockgate.policy as {"a": {"level_grant": {"high": {"w"}, "critical": {"w"}}}}
			with data.lockgate.org as {}
			with input as asking(level)
	}
	bases == {"low": 200, "normal": 400, "high": 600, "critical": 900}
}

test_the_least_limit_counts if {
	d := decision({"a": {"max_ttl_s": {10, 20}, "max_wait_s": {5}}, "b": {"max_ttl_s": {7}, "max_queue": {3}}}, {}, {})
	d.limits == {"ttl_s": 7, "wait_s": 5, "queue": 3}
}

test_preemption_goes_below_the_least_bound if {
	decision({"a": {"preempt_below": {900, 500}}}, {}, {}).preempt == {"allowed": true, "below": 500, "grace_s": 60}
}

test_revoke_only_where_all_say_so if {
	revoke := decision({"a": {"deadlock_action": {"revoke"}}}, {}, {})
	revoke.deadlock_action == "revoke"
	revoke.preemptible == true
	mild := decision({"a": {"deadlock_action": {"revoke"}}, "b": {"deadlock_action": {"cancel_wait"}}}, {}, {})
	mild.deadlock_action == "cancel_wait"
	mild.preemptible == false
}

test_obligations_are_collected if {
	d := decision({"a": {"obligation": {{"type": "t"}}}, "b": {"obligation": {{"type": "u"}}}}, {}, {})
	d.obligations == {{"type": "t"}, {"type": "u"}}
}
