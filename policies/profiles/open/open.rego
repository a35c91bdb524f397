# METADATA
# title: Open
# description: Grants everything to everybody, within limits. For the first run on loopback.
# scope: package
package lockgate.policy.open

# METADATA
# title: Every action
# labels: {rule: open.grant}
grant contains "the open profile grants everything"

# METADATA
# title: High on request
# labels: {rule: open.high}
level_grant.high contains "the open profile grants every level"

# METADATA
# title: Critical on request
# labels: {rule: open.critical}
level_grant.critical contains "the open profile grants every level"

# METADATA
# title: Nobody waits longer than a day
# labels: {rule: open.wait}
max_wait_s contains 86400

# METADATA
# title: No queue grows without bound
# labels: {rule: open.queue}
max_queue contains 1000
