package lockgate.test.limits

import data.lockgate.policy.limits

facts := {"projects": {"acme/infra/vpc/default/": {"max_ttl_s": 3600}}}

request(environment, command) := {
	"resource": {"key": "acme/infra/vpc/default/", "namespace": "acme/infra", "environment": environment},
	"command": {"name": command},
}

test_the_lease_is_the_projects if {
	limits.max_ttl_s == {3600} with input as request("dev", "apply") with data.facts as facts
	limits.max_ttl_s == set() with input as request("dev", "apply") with data.facts as {}
}

test_nobody_waits_longer_than_a_day if {
	limits.max_wait_s == {86400} with input as request("dev", "apply") with data.facts as facts
}

test_plans_wait_an_hour if {
	limits.max_wait_s == {86400, 3600} with input as request("dev", "plan") with data.facts as facts
}

test_the_queue_is_bounded if {
	limits.max_queue == {1000} with input as request("dev", "apply") with data.facts as facts
}

test_the_queue_is_shorter_in_production if {
	limits.max_queue == {1000, 100} with input as request("prod", "apply") with data.facts as facts
}
