# METADATA
# title: Who may do what
# description: |
#   Judges the actor: the person or job that a call is for. Teams own projects,
#   CI identities are bound to projects, both in data.facts.projects. Who may
#   release or renew is decided by the token of the lock, not here.
# scope: package
package lockgate.policy.rbac

import data.lockgate.lib.registry

# METADATA
# title: One speaks for oneself
# labels: {rule: rbac.speaks.self}
speaks if input.actor.id == input.subject.id

# METADATA
# title: A delegate speaks for those whom it names
# labels: {rule: rbac.speaks.delegate}
speaks if {
	"delegate" in input.subject.roles
	input.actor.vouched_by == input.subject.id
}

# METADATA
# title: In a team that owns the project
# labels: {rule: rbac.owner}
owner if {
	some team in input.actor.teams
	registry.project.owners[team] == true
}

# METADATA
# title: On call for a team that owns the project
# labels: {rule: rbac.on_call}
on_call if {
	some team, true in registry.project.owners
	data.facts.oncall[team][input.actor.id] == true
}

# METADATA
# title: Administrators, in their own name only
# labels: {rule: rbac.administrator}
administrator if {
	"admin" in input.subject.roles
	input.actor.id == input.subject.id
}

# METADATA
# title: Whether somebody stands in the registry for the resource
# labels: {rule: rbac.known}
known if registry.project

# METADATA
# title: Owners lock
# labels: {rule: rbac.grant.owner}
grant contains "member of an owning team" if {
	input.action == "acquire"
	owner
}

# METADATA
# title: CI identities lock what they are bound to
# labels: {rule: rbac.grant.ci}
grant contains "CI identity bound to the project" if {
	input.action == "acquire"
	registry.project.ci[input.actor.id] == true
}

# METADATA
# title: Projects that nobody registered
# labels: {rule: rbac.grant.unknown}
grant contains "unknown projects are open" if {
	input.action == "acquire"
	not known
	data.facts.defaults.unknown_project == "allow"
}

# METADATA
# title: The token decides
# labels: {rule: rbac.grant.token}
grant contains "whoever has the token" if input.action in {"release", "renew"}

# METADATA
# title: Everybody who is known reads
# labels: {rule: rbac.grant.read}
grant contains "authenticated" if {
	input.action == "read"
	input.subject.kind != "anonymous"
}

# METADATA
# title: Administrators
# labels: {rule: rbac.grant.admin}
grant contains "administrator" if {
	input.action in {"admin", "force_release", "reprioritize"}
	administrator
}

# METADATA
# title: On call may step in
# labels: {rule: rbac.grant.on_call}
grant contains "on call for an owning team" if {
	input.action in {"force_release", "reprioritize"}
	on_call
}

# METADATA
# title: Nobody speaks for others unasked
# labels: {rule: rbac.deny.delegate}
deny contains {"code": "rbac.delegate", "msg": sprintf("%s may not act for %s", [input.subject.id, input.actor.id])} if {
	not speaks
}

# METADATA
# title: Force has a reason
# labels: {rule: rbac.deny.reason}
deny contains {"code": "rbac.reason", "msg": "a forced release needs a reason of at least 10 characters"} if {
	input.action == "force_release"
	count(input.want.reason) < 10
}

# METADATA
# title: Only registered projects
# labels: {rule: rbac.deny.unknown}
deny contains {"code": "rbac.unknown_project", "msg": sprintf("no project is registered for %s", [registry.name])} if {
	input.action == "acquire"
	not known
	not data.facts.defaults.unknown_project == "allow"
}

# METADATA
# title: Owners hear of force
# labels: {rule: rbac.obligation.notify}
obligation contains {"type": "notify", "to": registry.project.channel, "event": "force_release"} if {
	input.action == "force_release"
}
