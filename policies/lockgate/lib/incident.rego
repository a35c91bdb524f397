# METADATA
# title: Incidents
# description: data.facts.incidents is keyed by id; an incident has a state and responders.
# scope: package
package lockgate.lib.incident

# METADATA
# title: The actor is named by the open incident that the caller names
# labels: {rule: incident.responding}
responding if {
	incident := data.facts.incidents[input.want.incident]
	incident.state == "open"
	incident.responders[input.actor.id] == true
}
