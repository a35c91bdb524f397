# METADATA
# title: An organisation's own rules
# description: |
#   Asked about the repositories of organisation example only. It may deny, warn,
#   oblige, and move its own requests by at most 100 points; it grants nothing
#   unless the operator lists it in policy.may_grant. Copy it, with the
#   organisation's name as the last part of the package.
# scope: package
package lockgate.org.example

import data.lockgate.lib.command

# METADATA
# title: Friday afternoon
# labels: {rule: example.deny.friday}
deny contains {"code": "example.friday", "msg": "no changes on Friday after two: nobody is here to mend them"} if {
	command.changes
	input.calendar.weekday == "friday"
	input.calendar.hour >= 14
}

# METADATA
# title: Production needs a word of explanation
# labels: {rule: example.warn.reason}
warn contains {"code": "example.reason", "msg": "say why, in reason: the next one on call reads it"} if {
	command.changes
	input.resource.environment == "prod"
	input.want.reason == ""
}

# METADATA
# title: Customers first
# labels: {rule: example.points.customer}
points contains {"why": "a customer waits", "points": 50} if input.resource.labels.customer == "true"

# METADATA
# title: The channel hears of production
# labels: {rule: example.obligation.notify}
obligation contains {"type": "notify", "to": "#example-changes", "event": "apply"} if {
	command.changes
	input.resource.environment == "prod"
}
