# METADATA
# title: What is known of a pull request
# scope: package
package lockgate.lib.pull

# METADATA
# title: Somebody other than the caller vouches for the description
# labels: {rule: pull.vouched}
vouched if input.pull.source in {"vcs", "atlantis"}

# METADATA
# title: Approvals, one's own left out
# labels: {rule: pull.approvals}
approvals contains approver if {
	vouched
	some approver in input.pull.approvers
	approver != input.pull.author
	approver != input.actor.id
}

# METADATA
# title: Labels that the caller did not write itself
# labels: {rule: pull.labels}
labels contains label if {
	vouched
	some label in input.pull.labels
}
