# METADATA
# title: Incidents open what is closed
# description: |
#   Whoever names an open incident that names the actor as a responder is not held
#   up by freezes and working hours, may be critical, for an hour at a time, and
#   has something to explain afterwards. It is no grant: that stays with rbac.
# scope: package
package lockgate.policy.breakglass

import data.lockgate.lib.incident

# METADATA
# title: Responders may be critical
# labels: {rule: breakglass.critical}
level_grant.critical contains sprintf("responder in %s", [input.want.incident]) if incident.responding

# METADATA
# title: An hour at a time
# labels: {rule: breakglass.ttl}
max_ttl_s contains 3600 if incident.responding

# METADATA
# title: Everybody hears of it
# labels: {rule: breakglass.notify}
obligation contains {"type": "notify", "to": "#incidents", "event": "breakglass", "incident": input.want.incident} if {
	input.action == "acquire"
	incident.responding
}

# METADATA
# title: Somebody looks at it afterwards
# labels: {rule: breakglass.review}
obligation contains {"type": "review", "incident": input.want.incident, "by": input.actor.id} if {
	input.action == "acquire"
	incident.responding
}

# METADATA
# title: Not any incident will do
# labels: {rule: breakglass.deny}
deny contains {"code": "breakglass.incident", "msg": sprintf("%s is no open incident that names %s as a responder", [input.want.incident, input.actor.id])} if {
	input.action == "acquire"
	input.want.incident != ""
	not incident.responding
}
