# METADATA
# title: What commands do
# scope: package
package lockgate.lib.command

# METADATA
# title: Commands that change nothing
# labels: {rule: command.harmless}
harmless if input.command.name in {"plan", "policy_check", "version"}

# METADATA
# title: A lock is asked for to change something
# description: A request that names no command may change everything.
# labels: {rule: command.changes}
changes if {
	input.action == "acquire"
	not harmless
}
