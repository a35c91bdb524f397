package lockgate.test.lib

import data.lockgate.lib.command
import data.lockgate.lib.incident
import data.lockgate.lib.pull

test_plans_change_nothing if {
	every name in ["plan", "policy_check", "version"] {
		command.harmless with input as {"action": "acquire", "command": {"name": name}}
		not command.changes with input as {"action": "acquire", "command": {"name": name}}
	}
}

test_everything_else_changes if {
	every name in ["apply", "import", "state", "other", ""] {
		command.changes with input as {"action": "acquire", "command": {"name": name}}
		not command.harmless with input as {"action": "acquire", "command": {"name": name}}
	}
}

test_giving_back_changes_nothing if {
	not command.changes with input as {"action": "release", "command": {"name": "apply"}}
}

incidents := {"incidents": {
	"INC-1": {"state": "open", "responders": {"dana": true, "finn": false}},
	"INC-2": {"state": "closed", "responders": {"dana": true}},
}}

responding(id, actor) if incident.responding with input as {"want": {"incident": id}, "actor": {"id": actor}} with data.facts as incidents

test_responders_respond if responding("INC-1", "dana")

test_nobody_else_responds if {
	not responding("INC-1", "ann")
	not responding("INC-1", "finn")
	not responding("INC-2", "dana")
	not responding("INC-3", "dana")
	not responding("", "dana")
}

described(source) := {
	"actor": {"id": "bob"},
	"pull": {"source": source, "author": "ann", "approvers": ["ann", "bob", "cleo"], "labels": ["hotfix"]},
}

test_others_vouch if {
	every source in ["vcs", "atlantis"] {
		pull.vouched with input as described(source)
		pull.approvals == {"cleo"} with input as described(source)
		pull.labels == {"hotfix"} with input as described(source)
	}
}

test_callers_do_not_vouch_for_themselves if {
	every source in ["caller", ""] {
		not pull.vouched with input as described(source)
		pull.approvals == set() with input as described(source)
		pull.labels == set() with input as described(source)
	}
}
