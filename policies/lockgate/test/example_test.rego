package lockgate.test.example

import data.lockgate.org.example

request(weekday, hour, changes) := object.union(
	{
		"action": "acquire",
		"command": {"name": "apply"},
		"calendar": {"weekday": weekday, "hour": hour},
		"resource": {"environment": "prod", "labels": {}},
		"want": {"reason": "new subnets"},
	},
	changes,
)

test_no_changes_on_friday_afternoon if {
	denied := {{"code": "example.friday", "msg": "no changes on Friday after two: nobody is here to mend them"}}
	example.deny == denied with input as request("friday", 14, {})
	example.deny == set() with input as request("friday", 13, {})
	example.deny == set() with input as request("thursday", 14, {})
	example.deny == set() with input as request("friday", 14, {"command": {"name": "plan"}})
}

test_production_asks_why if {
	warned := {{"code": "example.reason", "msg": "say why, in reason: the next one on call reads it"}}
	example.warn == warned with input as request("monday", 9, {"want": {"reason": ""}})
	example.warn == set() with input as request("monday", 9, {})
	example.warn == set() with input as request("monday", 9, {"want": {"reason": ""}, "resource": {"environment": "dev"}})
}

test_customers_first if {
	example.points == {{"why": "a customer waits", "points": 50}} with input as request("monday", 9, {"resource": {"labels": {"customer": "true"}}})
	example.points == set() with input as request("monday", 9, {})
}

test_the_channel_hears_of_production if {
	heard := {{"type": "notify", "to": "#example-changes", "event": "apply"}}
	example.obligation == heard with input as request("monday", 9, {})
	example.obligation == set() with input as request("monday", 9, {"resource": {"environment": "dev"}})
	example.obligation == set() with input as request("monday", 9, {"command": {"name": "plan"}})
}
