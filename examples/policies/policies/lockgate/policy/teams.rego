# METADATA
# title: Teams own projects
# scope: package
package lockgate.policy.teams

import data.lockgate.lib.registry

# METADATA
# title: Owners lock
# labels: {rule: teams.grant}
grant contains sprintf("%s owns it", [team]) if {
	input.action == "acquire"
	some team in input.actor.teams
	registry.project.owners[team] == true
}

# METADATA
# title: Whoever has the token gives back and renews
# labels: {rule: teams.token}
grant contains "whoever has the token" if input.action in {"release", "renew"}

# METADATA
# title: Everybody reads
# labels: {rule: teams.read}
grant contains "everybody reads" if input.action == "read"

# METADATA
# title: The platform team administers
# labels: {rule: teams.admin}
grant contains "the platform team" if {
	input.action in {"admin", "force_release", "reprioritize"}
	"platform" in input.subject.teams
}
