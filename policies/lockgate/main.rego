# METADATA
# title: The decision
# description: |
#   Collects what every policy says about a request into one decision. A gateway
#   computes the same from the same policies; this document is for opa eval, opa
#   test, and whoever wants to read the rules of the game.
#
#   data.operator is the operator's configuration (enforcement, may_grant). A
#   gateway takes it from its own configuration and accepts it from no file.
# scope: package
package lockgate

# METADATA
# title: What the gateway is told
# entrypoint: true
decision := {
	"contract": "lockgate/v1",
	"allow": allow,
	"grants": grants,
	"deny": deny,
	"warn": warn,
	"shadow": shadow,
	"priority": {"level": level, "value": value, "points": points},
	"limits": limits,
	"preempt": preempt,
	"preemptible": preemptible,
	"deadlock_action": deadlock_action,
	"obligations": obligations,
}

default allow := false

allow if {
	count(grants) > 0
	count(deny) == 0
}

# --- who speaks ------------------------------------------------------------

# Not org: that is data.lockgate.org, where the organisations' packages are.
organisation := input.resource.org

org_name := concat("/", ["org", organisation])

default modes := {}

modes := data.operator.enforcement

mode(name) := object.get(modes, name, "deny")

# A policy in shadow is heard, and nothing that it says counts.
counts(name) if mode(name) != "shadow"

org_may_grant if organisation in data.operator.may_grant

# --- grants and refusals ---------------------------------------------------

grants contains {"policy": name, "why": why} if {
	some name
	some why in data.lockgate.policy[name].grant
	counts(name)
}

grants contains {"policy": org_name, "why": why} if {
	org_may_grant
	counts(org_name)
	some why in data.lockgate.org[organisation].grant
}

findings contains {"policy": name, "code": f.code, "msg": f.msg} if {
	some name
	some f in data.lockgate.policy[name].deny
}

findings contains {"policy": org_name, "code": f.code, "msg": f.msg} if {
	some f in data.lockgate.org[organisation].deny
}

deny contains f if {
	some f in findings
	not mode(f.policy) in {"warn", "shadow"}
}

warn contains f if {
	some f in findings
	mode(f.policy) == "warn"
}

warn contains {"policy": name, "code": f.code, "msg": f.msg} if {
	some name
	some f in data.lockgate.policy[name].warn
	counts(name)
}

warn contains {"policy": org_name, "code": f.code, "msg": f.msg} if {
	counts(org_name)
	some f in data.lockgate.org[organisation].warn
}

shadow contains f if {
	some f in findings
	mode(f.policy) == "shadow"
}

# --- priority: the base of the level plus the points, from 0 to 1000 ---------

base := {"low": 200, "normal": 400, "high": 600, "critical": 900}

default level := "normal"

level := "low" if input.want.level == "low"

level := input.want.level if {
	input.want.level in {"high", "critical"}
	some name
	data.lockgate.policy[name].level_grant[input.want.level][_]
	counts(name)
}

points contains {"policy": name, "why": p.why, "points": p.points} if {
	some name
	some p in data.lockgate.policy[name].points
	counts(name)
}

# An organisation moves its own requests inside a band, so that it does not
# overtake the others.
points contains {"policy": org_name, "why": "weight within the organisation", "points": n} if {
	counts(org_name)
	n := max([-100, min([100, sum([p.points | some p in data.lockgate.org[organisation].points])])])
	n != 0
}

value := max([0, min([1000, base[level] + sum([p.points | some p in points])])])

# --- limits: the least of what was said; nothing said is not there -----------

limits := {name: least |
	some name, bounds in {"ttl_s": ttls, "wait_s": waits, "queue": queues}
	least := min(bounds)
}

ttls contains n if {
	some name
	some n in data.lockgate.policy[name].max_ttl_s
	counts(name)
}

waits contains n if {
	some name
	some n in data.lockgate.policy[name].max_wait_s
	counts(name)
}

queues contains n if {
	some name
	some n in data.lockgate.policy[name].max_queue
	counts(name)
}

# --- what may be taken away --------------------------------------------------

bounds contains n if {
	some name
	some n in data.lockgate.policy[name].preempt_below
	counts(name)
}

default preempt := {"allowed": false, "below": 0, "grace_s": 0}

preempt := {"allowed": true, "below": min(bounds), "grace_s": 60} if count(bounds) > 0

actions contains a if {
	some name
	some a in data.lockgate.policy[name].deadlock_action
	counts(name)
}

# The milder action wins: revoke only where every policy that speaks says so.
default deadlock_action := "cancel_wait"

deadlock_action := "revoke" if actions == {"revoke"}

default preemptible := false

preemptible if deadlock_action == "revoke"

# --- duties ------------------------------------------------------------------

obligations contains o if {
	some name
	some o in data.lockgate.policy[name].obligation
	counts(name)
}

obligations contains o if {
	counts(org_name)
	some o in data.lockgate.org[organisation].obligation
}
