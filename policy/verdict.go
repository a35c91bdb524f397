package policy

import (
	"cmp"
	"reflect"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lockgate/lockgate/core/lock"
)

// Names that the contract reserves in policies.
const (
	ruleGrant          = "grant"
	ruleDeny           = "deny"
	ruleWarn           = "warn"
	rulePoints         = "points"
	ruleLevelGrant     = "level_grant"
	ruleMaxTTL         = "max_ttl_s"
	ruleMaxWait        = "max_wait_s"
	ruleMaxQueue       = "max_queue"
	rulePreemptBelow   = "preempt_below"
	ruleObligation     = "obligation"
	ruleDeadlockAction = "deadlock_action"
)

func reservedNames() []string {
	return []string{
		ruleGrant, ruleDeny, ruleWarn, rulePoints, ruleLevelGrant, ruleMaxTTL, ruleMaxWait, ruleMaxQueue,
		rulePreemptBelow, ruleObligation, ruleDeadlockAction,
	}
}

// Deadlock actions.
const (
	actionCancelWait = "cancel_wait"
	actionRevoke     = "revoke"
)

const (
	preemptGraceSeconds = 60
	orgBand             = 100 // how far an organisation may move its own requests, in points
	orgWhy              = "weight within the organisation"
)

// verdict is the contract's output for one resource. It never changes once it
// was made; its JSON is what data.lockgate.decision answers.
type verdict struct {
	Contract       string           `json:"contract"`
	Allow          bool             `json:"allow"`
	Grants         []grantLine      `json:"grants"`
	Deny           []lock.Reason    `json:"deny"`
	Warn           []lock.Reason    `json:"warn"`
	Shadow         []lock.Reason    `json:"shadow"`
	Priority       priorityLine     `json:"priority"`
	Limits         limitsLine       `json:"limits"`
	Preempt        preemptLine      `json:"preempt"`
	Preemptible    bool             `json:"preemptible"`
	DeadlockAction string           `json:"deadlock_action"`
	Obligations    []map[string]any `json:"obligations"`

	labels []map[string]any // of the rules that fired
	level  lock.Priority
	ready  lock.Decision
}

type grantLine struct {
	Policy string `json:"policy"`
	Why    string `json:"why"`
}

type priorityLine struct {
	Level  string      `json:"level"`
	Value  int         `json:"value"`
	Points []pointLine `json:"points"`
}

type pointLine struct {
	Policy string `json:"policy"`
	Why    string `json:"why"`
	Points int    `json:"points"`
}

type limitsLine struct {
	TTL   *int `json:"ttl_s,omitempty"`
	Wait  *int `json:"wait_s,omitempty"`
	Queue *int `json:"queue,omitempty"`
}

type preemptLine struct {
	Allowed bool `json:"allowed"`
	Below   int  `json:"below"`
	Grace   int  `json:"grace_s"`
}

// ballot collects what the policies say, before the algebra.
type ballot struct {
	out       *verdict
	want      lock.Priority
	levels    map[string]bool
	below     *int
	actions   []string
	orgPoints int
	orgName   string
	duties    ast.Set
}

func newBallot(want lock.Priority) *ballot {
	return &ballot{
		want:   want,
		duties: ast.NewSet(),
		out: &verdict{
			Contract: Contract, Grants: []grantLine{}, Deny: []lock.Reason{}, Warn: []lock.Reason{},
			Shadow:   []lock.Reason{},
			Priority: priorityLine{Points: []pointLine{}}, DeadlockAction: actionCancelWait,
		},
	}
}

// close does the algebra: a grant and no denial allow, the least limit counts,
// priority is the level's base plus the points.
func (b *ballot) close() (*verdict, error) {
	v := b.out
	duties, err := b.obligations()
	if err != nil {
		return nil, err
	}
	v.Obligations = duties
	v.Allow = len(v.Grants) > 0 && len(v.Deny) == 0
	if n := min(max(b.orgPoints, -orgBand), orgBand); n != 0 {
		v.Priority.Points = append(v.Priority.Points, pointLine{Policy: b.orgName, Why: orgWhy, Points: n})
	}
	v.level = b.level()
	v.Priority.Level = v.level.String()
	v.Priority.Value = v.level.Base()
	for _, p := range v.Priority.Points {
		v.Priority.Value += p.Points
	}
	v.Priority.Value = min(max(v.Priority.Value, 0), lock.MaxValue)
	if b.below != nil {
		v.Preempt = preemptLine{Allowed: true, Below: *b.below, Grace: preemptGraceSeconds}
	}
	if len(b.actions) > 0 && !slices.Contains(b.actions, actionCancelWait) {
		v.DeadlockAction, v.Preemptible = actionRevoke, true
	}
	b.sort()
	v.settle()
	return v, nil
}

func (b *ballot) level() lock.Priority {
	switch b.want {
	case lock.Low:
		return lock.Low
	case lock.High, lock.Critical:
		if b.levels[b.want.String()] {
			return b.want
		}
		return lock.Normal
	case lock.Unstated, lock.Normal:
		return lock.Normal
	}
	return lock.Normal
}

// sort gives the lists the order of rego's sets: nothing may depend on the
// order in which policies were asked.
func (b *ballot) sort() {
	v := b.out
	slices.SortFunc(v.Grants, func(a, b grantLine) int {
		return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Why, b.Why))
	})
	for _, list := range [][]lock.Reason{v.Deny, v.Warn, v.Shadow} {
		slices.SortFunc(list, compareReasons)
	}
	v.Warn = slices.Compact(v.Warn)
	slices.SortFunc(v.Priority.Points, func(a, b pointLine) int {
		return cmp.Or(cmp.Compare(a.Points, b.Points), cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Why, b.Why))
	})
}

func compareReasons(a, b lock.Reason) int {
	return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Msg, b.Msg), cmp.Compare(a.Policy, b.Policy))
}

func least(old *int, n int) *int {
	if old != nil && *old <= n {
		return old
	}
	return &n
}

// settle makes the part of a decision that does not depend on who asked, once.
func (v *verdict) settle() {
	v.ready = lock.Decision{
		Allow:          v.Allow,
		Priority:       v.level,
		Value:          v.Priority.Value,
		Limits:         v.Limits.limits(),
		Preemptible:    v.Preemptible,
		DeadlockAction: v.DeadlockAction,
		Obligations:    v.Obligations,
	}
	v.ready.Warnings, v.ready.Reasons = v.Warn, v.Deny
}

// decision is a verdict in the gateway's words, without id and revision.
func (v *verdict) decision(action lock.Action) lock.Decision {
	d := v.ready
	if !v.Allow && len(v.Deny) == 0 {
		d.Reasons = []lock.Reason{{Policy: "lockgate", Code: "no_grant", Msg: "no policy grants " + action.String()}}
	}
	return d
}

func (l *limitsLine) limits() lock.Limits {
	var out lock.Limits
	if l.TTL != nil {
		out.TTL = time.Duration(*l.TTL) * time.Second
	}
	if l.Wait != nil {
		wait := time.Duration(*l.Wait) * time.Second
		out.Wait = &wait
	}
	out.Queue = l.Queue
	return out
}

// join makes one decision of two about different resources: allowed if both are,
// the highest priority, the strictest limits.
func join(d, other lock.Decision) lock.Decision {
	d.Allow = d.Allow && other.Allow
	d.Reasons = union(d.Reasons, other.Reasons)
	d.Warnings = union(d.Warnings, other.Warnings)
	d.Priority = max(d.Priority, other.Priority)
	d.Value = max(d.Value, other.Value)
	d.Limits = strictest(d.Limits, other.Limits)
	d.Preemptible = d.Preemptible && other.Preemptible
	if other.DeadlockAction == actionCancelWait {
		d.DeadlockAction = actionCancelWait
	}
	for _, o := range other.Obligations {
		if !slices.ContainsFunc(d.Obligations, func(known map[string]any) bool { return reflect.DeepEqual(known, o) }) {
			d.Obligations = append(slices.Clip(d.Obligations), o)
		}
	}
	return d
}

func union(a, b []lock.Reason) []lock.Reason {
	if len(b) == 0 {
		return a
	}
	all := append(slices.Clone(a), b...)
	slices.SortFunc(all, compareReasons)
	return slices.Compact(all)
}

func strictest(a, b lock.Limits) lock.Limits {
	if a.TTL == 0 || (b.TTL != 0 && b.TTL < a.TTL) {
		a.TTL = b.TTL
	}
	if a.Wait == nil || (b.Wait != nil && *b.Wait < *a.Wait) {
		a.Wait = b.Wait
	}
	if a.Queue == nil || (b.Queue != nil && *b.Queue < *a.Queue) {
		a.Queue = b.Queue
	}
	return a
}
