# METADATA
# title: Pull requests
# description: |
#   What a pull request needs before it changes something. Of the registry it
#   reads approvals (how many) and branches ({"main": true}).
# scope: package
package lockgate.policy.pull

import data.lockgate.lib.command
import data.lockgate.lib.pull
import data.lockgate.lib.registry

# METADATA
# title: Drafts change nothing
# labels: {rule: pull.deny.draft}
deny contains {"code": "pull.draft", "msg": sprintf("pull request %d is a draft: mark it ready first", [input.pull.num])} if {
	command.changes
	input.pull.draft
}

# METADATA
# title: Forks change nothing
# labels: {rule: pull.deny.fork}
deny contains {"code": "pull.fork", "msg": sprintf("pull request %d comes from a fork: push the branch to %s", [input.pull.num, input.resource.repo])} if {
	command.changes
	input.pull.fork
}

# METADATA
# title: Only into the branches of the project
# labels: {rule: pull.deny.base}
deny contains {"code": "pull.base", "msg": sprintf("pull request %d goes into %s, and this project is changed from %s", [
	input.pull.num, input.pull.base, concat(", ", sort(object.keys(branches))),
])} if {
	command.changes
	input.pull.source != ""
	branches := registry.project.branches
	not branches[input.pull.base] == true
}

# METADATA
# title: Approvals, and not one's own
# labels: {rule: pull.deny.approvals}
deny contains {"code": "pull.approvals", "msg": sprintf("%d of %d approvals; those of author and actor do not count", [count(pull.approvals), needed])} if {
	command.changes
	needed := registry.project.approvals
	count(pull.approvals) < needed
}
