package gateway

import (
	"encoding/json"

	"github.com/lockgate/lockgate/gateway/wire"
)

// Policies tells which policies decide.
type Policies interface {
	Policies() wire.PolicySet
}

// Decisions is the decision log, masked, with OPA's field names.
type Decisions interface {
	// Decisions answers at most limit entries after a cursor, newest first, and
	// the cursor of the next page, or *lock.InvalidError for a cursor it did not
	// hand out.
	Decisions(q DecisionQuery) (page []json.RawMessage, next string, err error)
	// Decision answers one entry and the id of the subject it is about.
	Decision(id string) (entry json.RawMessage, subject string, ok bool)
}

// DecisionQuery selects entries of the decision log; zero fields select all.
type DecisionQuery struct {
	Action  string
	Subject string
	Allow   *bool
	After   string // cursor of an earlier page
	Limit   int
}

// Health tells how the parts of the gateway are.
type Health interface {
	// Components answers each part once, in the order they were started.
	Components() []wire.Component
}
