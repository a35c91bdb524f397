package lockgate.test.preempt

import data.lockgate.policy.preempt

facts := {"incidents": {"INC-1": {"state": "open", "responders": {"dana": true}}}}

request(command, level, incident) := {
	"action": "acquire",
	"actor": {"id": "dana"},
	"command": {"name": command},
	"want": {"level": level, "incident": incident},
}

test_plans_may_be_revoked if {
	preempt.deadlock_action == {"revoke"} with input as request("plan", "normal", "") with data.facts as facts
}

test_applies_may_not if {
	preempt.deadlock_action == {"cancel_wait"} with input as request("apply", "normal", "") with data.facts as facts
}

test_responders_go_first if {
	preempt.preempt_below == {900} with input as request("apply", "critical", "INC-1") with data.facts as facts
}

test_nobody_else_does if {
	preempt.preempt_below == set() with input as request("apply", "critical", "") with data.facts as facts
	preempt.preempt_below == set() with input as request("apply", "high", "INC-1") with data.facts as facts
}
