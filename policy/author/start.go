package author

import (
	"fmt"
	"regexp"
	"strings"
)

// Starter is a policy to begin with, and its test.
type Starter struct {
	Policy, Test string // file names
	PolicyText   string
	TestText     string
}

// Start writes the beginning of a policy. It loads beside other policies, grants
// nothing, and its test notices every rule.
func Start(name string) (*Starter, error) {
	if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(name) {
		return nil, fmt.Errorf("%q is no name for a policy: use small letters, digits and _, a letter first", name)
	}
	fill := strings.NewReplacer("NAME", name)
	return &Starter{
		Policy: name + ".rego", PolicyText: fill.Replace(starterPolicy),
		Test: name + "_test.rego", TestText: fill.Replace(starterTest),
	}, nil
}

const starterPolicy = `# METADATA
# title: Who wrote NAME, and what for
# description: Denials and warnings are seen by whoever asked; say what to do.
package lockgate.policy.NAME

# METADATA
# title: Commands that change something
# labels: {rule: NAME.changes}
changes if input.command.name in {"apply", "import", "state"}

# METADATA
# title: Drafts change nothing
# labels: {rule: NAME.deny.draft}
deny contains {"code": "NAME.draft", "msg": sprintf("pull request %d is a draft: mark it ready first", [input.pull.num])} if {
	input.action == "acquire"
	changes
	input.pull.draft
}
`

const starterTest = `package lockgate.test.NAME

import data.lockgate.policy.NAME

request(command, draft) := {
	"action": "acquire",
	"command": {"name": command},
	"pull": {"num": 42, "draft": draft},
}

test_drafts_change_nothing if {
	denied := {{"code": "NAME.draft", "msg": "pull request 42 is a draft: mark it ready first"}}
	every command in ["apply", "import", "state"] {
		NAME.deny == denied with input as request(command, true)
	}
}

test_drafts_plan if {
	NAME.deny == set() with input as request("plan", true)
}

test_others_change if {
	NAME.deny == set() with input as request("apply", false)
}

test_a_draft_gives_its_lock_back if {
	i := object.union(request("apply", true), {"action": "release"})
	NAME.deny == set() with input as i
}
`
