package app

import (
	"encoding/json"
	"time"

	"github.com/lockgate/lockgate/core/component"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway"
	"github.com/lockgate/lockgate/gateway/wire"
	"github.com/lockgate/lockgate/policy"
)

// policyView shows the policy engine to the HTTP door.
type policyView struct{ engine *policy.Engine }

// Policies implements gateway.Policies.
func (v policyView) Policies() wire.PolicySet {
	s := v.engine.Status()
	set := wire.PolicySet{
		Revision: s.Revision, CompiledAt: wire.Time{Time: s.LoadedAt}, Source: s.Source,
		Items:    make([]wire.PolicyModule, len(s.Modules)),
		Warnings: make([]wire.PolicyFault, len(s.Warnings)),
		Reloads:  make([]wire.PolicyReload, len(s.History)),
	}
	for i, m := range s.Modules {
		set.Items[i] = wire.PolicyModule{Path: m.Path, Package: m.Package, SHA256: m.Revision}
	}
	for i := range s.Warnings {
		set.Warnings[i] = presentFault(&s.Warnings[i], s.LoadedAt)
	}
	for i, r := range s.History {
		set.Reloads[i] = wire.PolicyReload{At: wire.Time{Time: r.At}, Revision: r.Revision, Error: reloadError(r.Faults)}
	}
	if len(s.LastError) > 0 {
		set.LastError = new(presentFault(&s.LastError[0], s.History[0].At))
	}
	return set
}

func presentFault(f *policy.Fault, at time.Time) wire.PolicyFault {
	return wire.PolicyFault{Message: f.Msg, File: f.File, Line: f.Row, Column: f.Col, At: wire.Time{Time: at}}
}

func reloadError(faults []policy.Fault) string {
	if len(faults) == 0 {
		return ""
	}
	return (&policy.LoadError{Faults: faults}).Error()
}

// Decisions implements gateway.Decisions.
func (v policyView) Decisions(q gateway.DecisionQuery) ([]json.RawMessage, string, error) {
	if q.After != "" && lock.ID(q.After).Fault() != "" { // entries are named like requests
		return nil, "", lock.Invalid("cursor", "is no cursor of the decision log")
	}
	query := policy.LogQuery{Subject: q.Subject, Allow: q.Allow}
	if q.Action != "" {
		if err := query.Action.UnmarshalText([]byte(q.Action)); err != nil {
			return nil, "", lock.Invalid("action", err.Error())
		}
	}
	page, next := v.engine.Entries(query, q.Limit, q.After)
	return page, next, nil
}

// Decision implements gateway.Decisions.
func (v policyView) Decision(id string) (entry json.RawMessage, subject string, ok bool) {
	entry, ok = v.engine.Entry(id)
	if !ok {
		return nil, "", false
	}
	return entry, subjectOf(entry), true
}

// subjectOf answers who an entry is about: all inputs of one decision have the
// same subject.
func subjectOf(entry json.RawMessage) string {
	type input struct {
		Subject struct {
			ID string `json:"id"`
		} `json:"subject"`
	}
	var one struct {
		Input input `json:"input"`
	}
	if json.Unmarshal(entry, &one) == nil {
		return one.Input.Subject.ID
	}
	var several struct {
		Input []input `json:"input"`
	}
	if json.Unmarshal(entry, &several) == nil && len(several.Input) > 0 {
		return several.Input[0].Subject.ID
	}
	return ""
}

// healthView shows the components to the HTTP door.
type healthView struct{ supervisor *component.Supervisor }

// Components implements gateway.Health.
func (v *healthView) Components() []wire.Component {
	status := v.supervisor.Status()
	list := make([]wire.Component, len(status))
	for i, s := range status {
		list[i] = wire.Component{Name: s.Name, State: s.State.String(), Message: s.Message, Since: wire.Time{Time: s.Since}}
	}
	return list
}
