package lockgate.test.breakglass

import data.lockgate.policy.breakglass

facts := {"incidents": {"INC-1": {"state": "open", "responders": {"dana": true}}}}

request(action, actor, incident) := {"action": action, "actor": {"id": actor}, "want": {"incident": incident}}

duties := {
	{"type": "notify", "to": "#incidents", "event": "breakglass", "incident": "INC-1"},
	{"type": "review", "incident": "INC-1", "by": "dana"},
}

test_a_responder_is_let_through_for_an_hour_with_duties if {
	i := request("acquire", "dana", "INC-1")
	breakglass.level_grant.critical == {"responder in INC-1"} with input as i with data.facts as facts
	breakglass.max_ttl_s == {3600} with input as i with data.facts as facts
	breakglass.obligation == duties with input as i with data.facts as facts
	breakglass.deny == set() with input as i with data.facts as facts
}

test_a_wrong_incident_is_a_denial if {
	denied := {{"code": "breakglass.incident", "msg": "INC-9 is no open incident that names dana as a responder"}}
	breakglass.deny == denied with input as request("acquire", "dana", "INC-9") with data.facts as facts
	breakglass.level_grant.critical == set() with input as request("acquire", "dana", "INC-9") with data.facts as facts
	breakglass.max_ttl_s == set() with input as request("acquire", "dana", "INC-9") with data.facts as facts
	breakglass.obligation == set() with input as request("acquire", "dana", "INC-9") with data.facts as facts
}

test_somebody_elses_incident_is_a_denial if {
	count(breakglass.deny) == 1 with input as request("acquire", "ann", "INC-1") with data.facts as facts
}

test_without_an_incident_nothing_is_said if {
	i := request("acquire", "dana", "")
	breakglass.deny == set() with input as i with data.facts as facts
	breakglass.max_ttl_s == set() with input as i with data.facts as facts
}

test_giving_back_needs_no_incident_and_no_review if {
	breakglass.deny == set() with input as request("release", "dana", "INC-9") with data.facts as facts
	breakglass.obligation == set() with input as request("release", "dana", "INC-1") with data.facts as facts
}
