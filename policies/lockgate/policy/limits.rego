# METADATA
# title: How long, and how many
# scope: package
package lockgate.policy.limits

import data.lockgate.lib.registry

# METADATA
# title: The project's own lease
# labels: {rule: limits.ttl.project}
max_ttl_s contains registry.project.max_ttl_s

# METADATA
# title: Nobody waits longer than a day
# labels: {rule: limits.wait}
max_wait_s contains 86400

# METADATA
# title: Plans wait an hour
# labels: {rule: limits.wait.plan}
max_wait_s contains 3600 if input.command.name == "plan"

# METADATA
# title: No queue grows without bound
# labels: {rule: limits.queue}
max_queue contains 1000

# METADATA
# title: A shorter queue in production
# labels: {rule: limits.queue.production}
max_queue contains 100 if input.resource.environment == "prod"
