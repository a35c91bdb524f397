package lockgate.test.hours

import data.lockgate.policy.hours

facts := {
	"hours": {
		"prod": {"zone": "Europe/Berlin", "days": {"monday": true, "friday": true, "sunday": false}, "from": 8, "to": 17},
		"test": {"zone": "Europe/Berlin"},
		"night": {"to": 6},
	},
	"incidents": {"INC-1": {"state": "open", "responders": {"dana": true}}},
}

request(environment, weekday, hour) := {
	"action": "acquire",
	"actor": {"id": "dana"},
	"command": {"name": "apply"},
	"resource": {"environment": environment},
	"calendar": {"weekday": weekday, "hour": hour, "zone": "Europe/Berlin"},
	"want": {"incident": ""},
}

closed(weekday, hour) := {{
	"code": "hours.closed",
	"msg": sprintf("prod changes in working hours only; it is %s, %d o'clock in Europe/Berlin", [weekday, hour]),
}}

test_changes_in_working_hours if {
	every hour in [8, 12, 16] {
		hours.deny == set() with input as request("prod", "monday", hour) with data.facts as facts
	}
}

test_no_changes_before_and_after if {
	every hour in [0, 7, 17, 23] {
		hours.deny == closed("friday", hour) with input as request("prod", "friday", hour) with data.facts as facts
	}
}

test_no_changes_on_other_days if {
	hours.deny == closed("sunday", 12) with input as request("prod", "sunday", 12) with data.facts as facts
	hours.deny == closed("saturday", 12) with input as request("prod", "saturday", 12) with data.facts as facts
}

test_a_zone_alone_limits_nothing if {
	hours.deny == set() with input as request("test", "sunday", 3) with data.facts as facts
	hours.deny == set() with input as request("dev", "sunday", 3) with data.facts as facts
}

test_half_an_entry_is_closed if count(hours.deny) == 1 with input as request("night", "monday", 3) with data.facts as facts

test_plans_run_at_any_time if {
	i := object.union(request("prod", "sunday", 3), {"command": {"name": "plan"}})
	hours.deny == set() with input as i with data.facts as facts
}

test_responders_work_at_any_time if {
	i := object.union(request("prod", "sunday", 3), {"want": {"incident": "INC-1"}})
	hours.deny == set() with input as i with data.facts as facts
}
