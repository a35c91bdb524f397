package lockgate.test.freeze

import data.lockgate.policy.freeze

window := {"name": "peak-2026", "kind": "freeze", "from_ns": 1, "to_ns": 2, "reason": "peak trading"}

request(action, command, active) := {
	"action": action,
	"command": {"name": command},
	"calendar": {"active": active},
}

denied := {{"code": "freeze.active", "msg": "peak-2026 is in force: peak trading"}}

warned := {{"code": "freeze.active", "msg": "peak-2026 is in force: an apply would be refused"}}

test_nothing_changes_in_a_freeze if {
	every command in ["apply", "import", "state", "other", ""] {
		freeze.deny == denied with input as request("acquire", command, [window])
		freeze.warn == set() with input as request("acquire", command, [window])
	}
}

test_plans_go_on_and_hear_of_it if {
	every command in ["plan", "policy_check", "version"] {
		freeze.deny == set() with input as request("acquire", command, [window])
		freeze.warn == warned with input as request("acquire", command, [window])
	}
}

test_a_lock_can_be_given_back_in_a_freeze if {
	every action in ["release", "renew", "force_release", "read"] {
		freeze.deny == set() with input as request(action, "apply", [window])
		freeze.warn == set() with input as request(action, "plan", [window])
	}
}

test_without_a_window_all_go if {
	freeze.deny == set() with input as request("acquire", "apply", [])
	freeze.warn == set() with input as request("acquire", "plan", [])
}

test_other_windows_freeze_nothing if {
	maintenance := object.union(window, {"kind": "maintenance"})
	freeze.deny == set() with input as request("acquire", "apply", [maintenance])
	freeze.warn == set() with input as request("acquire", "plan", [maintenance])
}
