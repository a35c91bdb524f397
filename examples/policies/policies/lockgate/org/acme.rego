# METADATA
# title: What acme asks of its own projects
# description: Written by acme, loaded by the platform. It can only narrow what the platform grants.
# scope: package
package lockgate.org.acme

# METADATA
# title: Card data is changed by security
# labels: {rule: acme.deny.cards}
deny contains {"code": "acme.cards", "msg": "this project holds card data: ask somebody of team security to apply"} if {
	input.action == "acquire"
	input.resource.labels.cards == "true"
	not "security" in input.actor.teams
}

# METADATA
# title: The shop goes first
# labels: {rule: acme.points.shop}
points contains {"why": "the shop", "points": 60} if input.resource.labels.shop == "true"
