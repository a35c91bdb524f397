# METADATA
# title: Change freezes
# description: |
#   The gateway works out which windows of data.facts.freezes are in force for
#   the resource, exemptions included; here stands what they forbid.
# scope: package
package lockgate.policy.freeze

# METADATA
# title: Commands that change nothing
# labels: {rule: freeze.harmless}
harmless if input.command.name in {"plan", "policy_check", "version"}

# METADATA
# title: No changes in a freeze
# labels: {rule: freeze.deny}
deny contains {"code": "freeze.active", "msg": sprintf("%s is in force: %s", [window.name, window.reason])} if {
	input.action == "acquire"
	not harmless
	some window in input.calendar.active
	window.kind == "freeze"
}

# METADATA
# title: Plans go on, and hear of it
# labels: {rule: freeze.warn}
warn contains {"code": "freeze.active", "msg": sprintf("%s is in force: an apply would be refused", [window.name])} if {
	input.action == "acquire"
	harmless
	some window in input.calendar.active
	window.kind == "freeze"
}
