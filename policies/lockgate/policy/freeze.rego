# METADATA
# title: Change freezes
# description: |
#   The gateway works out which windows of data.facts.freezes are in force for
#   the resource, exemptions included; here stands what they forbid. Responders
#   in an open incident are not held up, see policy breakglass.
# scope: package
package lockgate.policy.freeze

import data.lockgate.lib.command
import data.lockgate.lib.incident

# METADATA
# title: No changes in a freeze
# labels: {rule: freeze.deny}
deny contains {"code": "freeze.active", "msg": sprintf("%s is in force: %s", [window.name, window.reason])} if {
	command.changes
	not incident.responding
	some window in input.calendar.active
	window.kind == "freeze"
}

# METADATA
# title: Plans go on, and hear of it
# labels: {rule: freeze.warn}
warn contains {"code": "freeze.active", "msg": sprintf("%s is in force: an apply would be refused", [window.name])} if {
	input.action == "acquire"
	command.harmless
	some window in input.calendar.active
	window.kind == "freeze"
}
