# METADATA
# title: Plans that destroy
# description: |
#   data.facts.defaults.max_destroys is how many resources one apply may destroy,
#   max_destroys of a project counts instead. Without either nothing is limited.
#   The label destroy-approved lifts it, when the caller did not write it itself.
# scope: package
package lockgate.policy.destroy_guard

import data.lockgate.lib.command
import data.lockgate.lib.pull
import data.lockgate.lib.registry

# METADATA
# title: How many a project may lose
# labels: {rule: destroy_guard.most.project}
most := registry.project.max_destroys

# METADATA
# title: How many any project may lose
# labels: {rule: destroy_guard.most.default}
most := data.facts.defaults.max_destroys if not registry.project.max_destroys

# METADATA
# title: No more than that
# labels: {rule: destroy_guard.deny}
deny contains {"code": "destroy_guard.many", "msg": sprintf("the plan destroys %d resources, %d may go at once: label the pull request destroy-approved", [input.command.destroys, most])} if {
	command.changes
	input.command.destroys > most
	not "destroy-approved" in pull.labels
}

# METADATA
# title: Whoever destroys hears how much
# labels: {rule: destroy_guard.warn}
warn contains {"code": "destroy_guard.some", "msg": sprintf("the plan destroys %d resources", [input.command.destroys])} if {
	command.changes
	input.command.destroys > 0
}
