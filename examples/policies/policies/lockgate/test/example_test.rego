package lockgate.test.example

import data.lockgate.org.acme
import data.lockgate.policy.teams
import data.lockgate.policy.ticket

request(key, changes) := object.union(
	{
		"action": "acquire",
		"subject": {"teams": ["shop"]},
		"actor": {"teams": ["shop"]},
		"command": {"name": "apply"},
		"resource": {"key": key, "namespace": "acme/shop", "environment": data.facts.projects[key].environment, "labels": {}},
		"request": {"labels": {}},
	},
	changes,
)

web(changes) := request("acme/shop/web/default/", changes)

test_owners_lock if {
	teams.grant == {"shop owns it"} with input as web({})
	teams.grant == set() with input as web({"actor": {"teams": ["other"]}})
}

test_a_key_of_another_namespace_is_another_project if {
	teams.grant == set() with input as web({"resource": {"namespace": "evil/shop"}})
}

test_the_registry_takes_keys_of_no_namespace if {
	every namespace in ["", "default"] {
		teams.grant == {"shop owns it"} with input as web({"resource": {"namespace": namespace}})
	}
}

test_the_registry_finds_other_keys_by_their_namespace if {
	projects := {"acme/shop/terraform/web": {"owners": {"shop": true}}}
	teams.grant == {"shop owns it"} with input as web({"resource": {"key": "terraform/web"}}) with data.facts.projects as projects
}

test_the_token_decides_about_giving_back if {
	every action in ["release", "renew"] {
		teams.grant == {"whoever has the token"} with input as web({"action": action})
	}
}

test_everybody_reads if teams.grant == {"everybody reads"} with input as web({"action": "read"})

test_the_platform_team_administers if {
	every action in ["admin", "force_release", "reprioritize"] {
		teams.grant == {"the platform team"} with input as web({"action": action, "subject": {"teams": ["platform"]}})
		teams.grant == set() with input as web({"action": action})
	}
}

missing := {{"code": "ticket.missing", "msg": "changes in production need a ticket: send the label ticket, such as OPS-42"}}

test_production_needs_a_ticket if {
	ticket.deny == missing with input as web({})
	ticket.deny == missing with input as web({"request": {"labels": {"ticket": "later"}}})
	ticket.deny == set() with input as web({"request": {"labels": {"ticket": "OPS-42"}}})
	ticket.warn == set() with input as web({})
}

test_nothing_else_needs_one if {
	ticket.deny == set() with input as web({"command": {"name": "plan"}})
	ticket.deny == set() with input as web({"action": "release"})
	ticket.deny == set() with input as request("acme/shop/web/staging/", {})
}

test_an_exception_is_seen if {
	i := request("acme/shop/status/default/", {})
	ticket.deny == set() with input as i
	ticket.warn == {{
		"code": "ticket.excepted",
		"msg": "no ticket is asked for: the status page must change when the ticket system is down",
	}} with input as i
	ticket.warn == set() with input as object.union(i, {"request": {"labels": {"ticket": "OPS-42"}}})
}

test_card_data_is_changed_by_security if {
	i := request("acme/shop/cards/default/", {"resource": {"labels": {"cards": "true"}}})
	acme.deny == {{
		"code": "acme.cards",
		"msg": "this project holds card data: ask somebody of team security to apply",
	}} with input as i
	acme.deny == set() with input as object.union(i, {"actor": {"teams": ["security"]}})
	acme.deny == set() with input as web({})
	acme.deny == set() with input as object.union(i, {"action": "release"})
}

test_the_shop_goes_first if {
	acme.points == {{"why": "the shop", "points": 60}} with input as web({"resource": {"labels": {"shop": "true"}}})
	acme.points == set() with input as web({})
}
