# METADATA
# title: Working hours
# description: |
#   data.facts.hours is keyed by environment: zone, days ({"monday": true}), from
#   and to in full hours of that zone. An entry with a zone only limits nothing.
# scope: package
package lockgate.policy.hours

import data.lockgate.lib.command
import data.lockgate.lib.incident

# METADATA
# title: The hours of the environment
# labels: {rule: hours.hours}
hours := data.facts.hours[input.resource.environment]

# METADATA
# title: Whether they limit anything
# labels: {rule: hours.limited}
limited if {
	some name in ["days", "from", "to"]
	hours[name]
}

# METADATA
# title: Within them
# labels: {rule: hours.within}
within if {
	hours.days[input.calendar.weekday] == true
	input.calendar.hour >= hours.from
	input.calendar.hour < hours.to
}

# METADATA
# title: No changes outside working hours
# labels: {rule: hours.deny}
deny contains {"code": "hours.closed", "msg": sprintf("%s changes in working hours only; it is %s, %d o'clock in %s", [
	input.resource.environment, input.calendar.weekday, input.calendar.hour, input.calendar.zone,
])} if {
	command.changes
	limited
	not within
	not incident.responding
}
