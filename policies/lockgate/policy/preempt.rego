# METADATA
# title: What may be taken away
# scope: package
package lockgate.policy.preempt

import data.lockgate.lib.command
import data.lockgate.lib.incident

# METADATA
# title: Plans can be run again
# labels: {rule: preempt.revoke}
deadlock_action contains "revoke" if command.harmless

# METADATA
# title: Nothing is taken away in mid-apply
# labels: {rule: preempt.cancel}
deadlock_action contains "cancel_wait" if command.changes

# METADATA
# title: Responders go before everything that is not critical
# labels: {rule: preempt.below}
preempt_below contains 900 if {
	input.want.level == "critical"
	incident.responding
}
