package lockgate.test.fairness

import data.lockgate.policy.fairness

facts := {"quota": {"soft": 3, "hard": 20, "queue": 50}}

request(action, held) := {"action": action, "owner": {"id": "ci:1"}, "queue": {"held_by_owner": held}}

test_within_the_quota_nothing_is_said if {
	every held in [0, 3] {
		fairness.points == set() with input as request("acquire", held) with data.facts as facts
		fairness.deny == set() with input as request("acquire", held) with data.facts as facts
	}
}

test_beyond_the_soft_quota_costs_points if {
	one := {{"why": "1 locks beyond the quota", "points": -20}}
	fairness.points == one with input as request("acquire", 4) with data.facts as facts
	most := {{"why": "16 locks beyond the quota", "points": -200}}
	fairness.points == most with input as request("acquire", 19) with data.facts as facts
	fairness.deny == set() with input as request("acquire", 19) with data.facts as facts
}

test_the_hard_quota_denies if {
	denied := {{"code": "fairness.quota", "msg": "ci:1 holds 20 locks, the most there may be: release one"}}
	fairness.deny == denied with input as request("acquire", 20) with data.facts as facts
}

test_giving_back_is_free if {
	fairness.points == set() with input as request("release", 19) with data.facts as facts
	fairness.deny == set() with input as request("release", 20) with data.facts as facts
}

test_the_queue_is_bounded if fairness.max_queue == {50} with input as request("acquire", 0) with data.facts as facts

test_without_quota_nothing_is_limited if {
	fairness.points == set() with input as request("acquire", 99) with data.facts as {}
	fairness.deny == set() with input as request("acquire", 99) with data.facts as {}
	fairness.max_queue == set() with input as request("acquire", 99) with data.facts as {}
}
