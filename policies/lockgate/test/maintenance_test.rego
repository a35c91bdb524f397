package lockgate.test.maintenance

import data.lockgate.policy.maintenance

facts := {"maintenance": {"upgrade": {"teams": {"net": true, "apps": false}}}}

window(name, kind) := {"name": name, "kind": kind, "from_ns": 1, "to_ns": 2, "reason": "new kernel"}

request(action, team, windows) := {"action": action, "actor": {"teams": ["all", team]}, "calendar": {"active": windows}}

test_others_are_kept_out if {
	denied := {{"code": "maintenance.active", "msg": "upgrade is in force: new kernel"}}
	every team in ["apps", "other"] {
		i := request("acquire", team, [window("upgrade", "maintenance")])
		maintenance.deny == denied with input as i with data.facts as facts
		maintenance.warn == set() with input as i with data.facts as facts
	}
}

test_those_who_maintain_are_alone if {
	i := request("acquire", "net", [window("upgrade", "maintenance")])
	maintenance.deny == set() with input as i with data.facts as facts
	maintenance.warn == {{"code": "maintenance.active", "msg": "upgrade is in force: others are kept out"}} with input as i
		with data.facts as facts
}

test_every_window_counts if {
	i := request("acquire", "net", [window("upgrade", "maintenance"), window("move", "maintenance")])
	maintenance.deny == {{"code": "maintenance.active", "msg": "move is in force: new kernel"}} with input as i
		with data.facts as facts
}

test_a_freeze_is_none if {
	i := request("acquire", "net", [window("upgrade", "freeze")])
	maintenance.deny == set() with input as i with data.facts as facts
	maintenance.warn == set() with input as i with data.facts as facts
}

test_giving_back_goes_on if {
	i := request("release", "other", [window("upgrade", "maintenance")])
	maintenance.deny == set() with input as i with data.facts as facts
}
