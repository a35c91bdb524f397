# METADATA
# title: Maintenance
# description: |
#   While a window of kind maintenance is in force its resources are for those who
#   maintain them: data.facts.maintenance is keyed by the window's name and has
#   teams ({"net": true}).
# scope: package
package lockgate.policy.maintenance

# METADATA
# title: Windows in force
# labels: {rule: maintenance.windows}
windows contains window if {
	input.action == "acquire"
	some window in input.calendar.active
	window.kind == "maintenance"
}

# METADATA
# title: Windows that the actor's teams work in
# labels: {rule: maintenance.theirs}
theirs contains window.name if {
	some window in windows
	some team in input.actor.teams
	data.facts.maintenance[window.name].teams[team] == true
}

# METADATA
# title: Nobody else locks, not even to plan
# labels: {rule: maintenance.deny}
deny contains {"code": "maintenance.active", "msg": sprintf("%s is in force: %s", [window.name, window.reason])} if {
	some window in windows
	not window.name in theirs
}

# METADATA
# title: Those who maintain know that they are alone
# labels: {rule: maintenance.warn}
warn contains {"code": "maintenance.active", "msg": sprintf("%s is in force: others are kept out", [name])} if {
	some name in theirs
}
