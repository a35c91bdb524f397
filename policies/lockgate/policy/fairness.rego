# METADATA
# title: Nobody takes everything
# description: |
#   data.facts.quota has soft and hard, in locks that one owner holds in a
#   namespace, and queue, in requests that wait for one resource. What is not
#   there limits nothing. These read the lock table.
# scope: package
package lockgate.policy.fairness

# METADATA
# title: How far an owner is beyond the soft quota
# labels: {rule: fairness.beyond}
beyond := input.queue.held_by_owner - data.facts.quota.soft

# METADATA
# title: Beyond the soft quota one waits longer
# labels: {rule: fairness.points}
points contains {"why": sprintf("%d locks beyond the quota", [beyond]), "points": max([-200, -20 * beyond])} if {
	input.action == "acquire"
	beyond > 0
}

# METADATA
# title: The hard quota
# labels: {rule: fairness.deny}
deny contains {"code": "fairness.quota", "msg": sprintf("%s holds %d locks, the most there may be: release one", [input.owner.id, input.queue.held_by_owner])} if {
	input.action == "acquire"
	input.queue.held_by_owner >= data.facts.quota.hard
}

# METADATA
# title: The longest queue
# labels: {rule: fairness.queue}
max_queue contains data.facts.quota.queue
