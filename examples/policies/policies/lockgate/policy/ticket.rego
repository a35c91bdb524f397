# METADATA
# title: Production changes have a ticket
# description: |
#   The rule that is rolled out here. The caller sends the ticket as the label
#   ticket of its request. data.facts.exceptions.ticket lists the projects that
#   need none yet, and why.
# scope: package
package lockgate.policy.ticket

import data.lockgate.lib.registry

# METADATA
# title: Requests that the rule is about
# labels: {rule: ticket.concerns}
concerns if {
	input.action == "acquire"
	input.resource.environment == "prod"
	not input.command.name in {"plan", "policy_check", "version"}
}

# METADATA
# title: A ticket is there
# labels: {rule: ticket.given}
given if regex.match(`^[A-Z]+-[0-9]+$`, input.request.labels.ticket)

# METADATA
# title: Why a project needs none
# labels: {rule: ticket.exception}
exception := data.facts.exceptions.ticket[registry.name]

# METADATA
# title: No ticket, no change
# labels: {rule: ticket.deny}
deny contains {"code": "ticket.missing", "msg": "changes in production need a ticket: send the label ticket, such as OPS-42"} if {
	concerns
	not given
	not exception
}

# METADATA
# title: Exceptions are seen whenever they are used
# labels: {rule: ticket.warn}
warn contains {"code": "ticket.excepted", "msg": sprintf("no ticket is asked for: %s", [exception])} if {
	concerns
	not given
}
