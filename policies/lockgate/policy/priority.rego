# METADATA
# title: Who goes first
# description: Levels that must be granted, and points within a level.
# scope: package
package lockgate.policy.priority

import data.lockgate.lib.registry

# METADATA
# title: A hotfix label that the caller did not write itself
# labels: {rule: priority.hotfix}
hotfix if {
	"hotfix" in input.pull.labels
	input.pull.source in {"vcs", "atlantis"}
}

# METADATA
# title: On call for an owning team
# labels: {rule: priority.on_call}
on_call if {
	some team, true in registry.project.owners
	data.facts.oncall[team][input.actor.id] == true
}

# METADATA
# title: High for hotfixes
# labels: {rule: priority.high.hotfix}
level_grant.high contains "hotfix" if hotfix

# METADATA
# title: High for those on call
# labels: {rule: priority.high.on_call}
level_grant.high contains "on call for an owning team" if on_call

# METADATA
# title: Critical in an open incident that names the actor
# labels: {rule: priority.critical.incident}
level_grant.critical contains sprintf("responder in %s", [input.want.incident]) if {
	incident := data.facts.incidents[input.want.incident]
	incident.state == "open"
	incident.responders[input.actor.id] == true
}

# METADATA
# title: Hotfixes
# labels: {rule: priority.points.hotfix}
points contains {"why": "hotfix", "points": 100} if hotfix

# METADATA
# title: Production
# labels: {rule: priority.points.production}
points contains {"why": "production", "points": 50} if input.resource.environment == "prod"

# METADATA
# title: First tier
# labels: {rule: priority.points.tier}
points contains {"why": "first tier", "points": 30} if registry.project.tier == 1

# METADATA
# title: An apply before a plan
# labels: {rule: priority.points.apply}
points contains {"why": "apply", "points": 40} if input.command.name == "apply"

# METADATA
# title: Bots last
# labels: {rule: priority.points.bot}
points contains {"why": "automated update", "points": -150} if {
	some bot in data.facts.bots
	bot == input.pull.author
}
