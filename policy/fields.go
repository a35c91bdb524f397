package policy

import (
	"strings"

	"github.com/lockgate/lockgate/core/lock"
)

// Contract names the version of input and output that policies are written
// against.
const Contract = "lockgate/v1"

// sink takes the value of one field. The memo key and the input of an
// evaluation are two sinks behind the same fields, so they cannot disagree
// about what a policy sees.
type sink interface {
	text(s string)
	number(n int64)
	flag(b bool)
	texts(list []string)
	pairs(m map[string]string)
	document(v any)
	windows(active []*window)
}

// field is one place of the input. Its path is section, or section.name.
type field struct {
	section, name string
	shape         shape
	write         func(v *view, to sink)
}

func (f *field) path() string {
	if f.name == "" {
		return "input." + f.section
	}
	return "input." + f.section + "." + f.name
}

// fields is the whole input: design and schema, key and value come from here.
// Every field is always there; what is not known has its zero value.
func fields() []field {
	all := []field{
		{"contract", "", textOf(Contract), func(_ *view, to sink) { to.text(Contract) }},
		{"action", "", textOf(actionNames()...), func(v *view, to sink) { to.text(v.q.Action.String()) }},
	}
	for _, section := range [][]field{
		requestFields(), subjectFields(), actorFields(), ownerFields(), resourceFields(), pullFields(),
		commandFields(), wantFields(), lockFields(), queueFields(), calendarFields(),
	} {
		all = append(all, section...)
	}
	return all
}

func requestFields() []field {
	return []field{
		{"request", "id", anyText(), func(v *view, to sink) { to.text(v.q.RequestID) }},
		{"request", "time", anyText(), func(v *view, to sink) { to.text(v.q.Time.UTC().Format(timeFormat)) }},
		{"request", "time_ns", integer(), func(v *view, to sink) { to.number(v.q.Time.UnixNano()) }},
		{"request", "source", textOf("atlantis", "terraform", "api", "cli", "ui"), func(v *view, to sink) { to.text(v.q.Caller.Source.String()) }},
		{"request", "ip", anyText(), func(v *view, to sink) { to.text(v.q.Caller.IP) }},
		{"request", "dry_run", boolean(), func(v *view, to sink) { to.flag(v.q.DryRun) }},
		{"request", "stage", textOf("enqueue", "grant"), func(v *view, to sink) { to.text(v.q.Stage.String()) }},
		{"request", "labels", textMap(), func(v *view, to sink) { to.pairs(v.q.Labels) }},
		{"request", "context", openObject(), func(v *view, to sink) { to.document(v.document()) }},
	}
}

func subjectFields() []field {
	return []field{
		{"subject", "id", anyText(), func(v *view, to sink) { to.text(v.q.Caller.Subject.ID) }},
		{"subject", "kind", textOf("token", "jwt", "mtls", "anonymous"), func(v *view, to sink) { to.text(v.q.Caller.Subject.Kind.String()) }},
		{"subject", "name", anyText(), func(v *view, to sink) { to.text(v.q.Caller.Subject.Name) }},
		{"subject", "teams", textList(), func(v *view, to sink) { to.texts(v.q.Caller.Subject.Teams) }},
		{"subject", "roles", textList(), func(v *view, to sink) { to.texts(v.q.Caller.Subject.Roles) }},
		{"subject", "claims", openObject(), func(v *view, to sink) { to.document(claims(v.q.Caller.Subject.Claims)) }},
	}
}

// claims keeps nil an empty object.
func claims(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func actorFields() []field {
	return []field{
		{"actor", "id", anyText(), func(v *view, to sink) { to.text(v.actor().ID) }},
		{"actor", "teams", textList(), func(v *view, to sink) { to.texts(v.actor().Teams) }},
		{"actor", "vouched_by", anyText(), func(v *view, to sink) { to.text(v.actor().VouchedBy) }},
	}
}

func ownerFields() []field {
	return []field{
		{"owner", "id", anyText(), func(v *view, to sink) { to.text(string(v.q.Owner)) }},
		{"owner", "kind", anyText(), func(v *view, to sink) { to.text(v.q.Owner.Kind()) }},
	}
}

func resourceFields() []field {
	return []field{
		{"resource", "key", anyText(), func(v *view, to sink) { to.text(string(v.res.Key)) }},
		{"resource", "mode", textOf("exclusive", "shared"), func(v *view, to sink) { to.text(v.res.Mode.String()) }},
		{"resource", "namespace", anyText(), func(v *view, to sink) { to.text(string(v.q.Namespace)) }},
		{"resource", "org", anyText(), func(v *view, to sink) { to.text(v.place().org) }},
		{"resource", "repo", anyText(), func(v *view, to sink) { to.text(v.place().repo) }},
		{"resource", "path", anyText(), func(v *view, to sink) { to.text(v.place().path) }},
		{"resource", "workspace", anyText(), func(v *view, to sink) { to.text(v.place().workspace) }},
		{"resource", "project", anyText(), func(v *view, to sink) { to.text(v.place().project) }},
		{"resource", "environment", anyText(), func(v *view, to sink) { to.text(v.place().environment) }},
		{"resource", "labels", textMap(), func(v *view, to sink) { to.pairs(v.place().labels) }},
	}
}

func pullFields() []field {
	return []field{
		{"pull", "num", integer(), func(v *view, to sink) { to.number(v.context().pull.Num) }},
		{"pull", "url", anyText(), func(v *view, to sink) { to.text(v.context().pull.URL) }},
		{"pull", "author", anyText(), func(v *view, to sink) { to.text(v.context().pull.Author) }},
		{"pull", "draft", boolean(), func(v *view, to sink) { to.flag(v.context().pull.Draft) }},
		{"pull", "fork", boolean(), func(v *view, to sink) { to.flag(v.context().pull.Fork) }},
		{"pull", "labels", textList(), func(v *view, to sink) { to.texts(v.context().pull.Labels) }},
		{"pull", "head", anyText(), func(v *view, to sink) { to.text(v.context().pull.Head) }},
		{"pull", "base", anyText(), func(v *view, to sink) { to.text(v.context().pull.Base) }},
		{"pull", "approvers", textList(), func(v *view, to sink) { to.texts(v.context().pull.Approvers) }},
		{"pull", "source", textOf("vcs", "atlantis", "caller", ""), func(v *view, to sink) { to.text(v.pullSource()) }},
	}
}

func commandFields() []field {
	return []field{
		{"command", "name", textOf(commandNames()...), func(v *view, to sink) { to.text(v.context().command) }},
		{"command", "destroys", integer(), func(v *view, to sink) { to.number(v.context().destroys) }},
	}
}

func wantFields() []field {
	return []field{
		{"want", "ttl_s", integer(), func(v *view, to sink) { to.number(seconds(v.q.Want.TTL)) }},
		{"want", "wait_s", integer(), func(v *view, to sink) { to.number(seconds(v.q.Want.Wait)) }},
		{"want", "level", textOf("low", "normal", "high", "critical"), func(v *view, to sink) { to.text(v.q.Want.Priority.String()) }},
		{"want", "reason", anyText(), func(v *view, to sink) { to.text(v.reason()) }},
		{"want", "incident", anyText(), func(v *view, to sink) { to.text(v.incident()) }},
	}
}

func lockFields() []field {
	return []field{
		{"lock", "held", boolean(), func(v *view, to sink) { to.flag(v.facts.Holder != nil) }},
		{"lock", "holder", anyText(), func(v *view, to sink) { to.text(string(v.holder().Owner)) }},
		{"lock", "holder_subject", anyText(), func(v *view, to sink) { to.text(v.holder().Subject) }},
		{"lock", "holder_pull", integer(), func(v *view, to sink) { to.number(pullOf(v.holder().Owner)) }},
		{"lock", "priority", integer(), func(v *view, to sink) { to.number(int64(v.holder().Value)) }},
		{"lock", "acquired_ns", integer(), func(v *view, to sink) { to.number(nanos(v.holder().AcquiredAt)) }},
		{"lock", "expires_ns", integer(), func(v *view, to sink) { to.number(nanos(v.holder().ExpiresAt)) }},
	}
}

func queueFields() []field {
	return []field{
		{"queue", "length", integer(), func(v *view, to sink) { to.number(int64(v.facts.QueueLength)) }},
		{"queue", "mine", integer(), func(v *view, to sink) { to.number(int64(v.facts.Mine)) }},
		{"queue", "waited_s", integer(), func(v *view, to sink) { to.number(seconds(v.facts.Waited)) }},
		{"queue", "held_by_subject", integer(), func(v *view, to sink) { to.number(int64(v.facts.HeldBySubject)) }},
		{"queue", "held_by_owner", integer(), func(v *view, to sink) { to.number(int64(v.facts.HeldByOwner)) }},
	}
}

func calendarFields() []field {
	return []field{
		{"calendar", "active", windowList(), func(v *view, to sink) { to.windows(v.activeWindows()) }},
		{"calendar", "weekday", textOf(weekdayNames()...), func(v *view, to sink) { to.text(strings.ToLower(v.localTime().Weekday().String())) }},
		{"calendar", "hour", integer(), func(v *view, to sink) { to.number(int64(v.localTime().Hour())) }},
		{"calendar", "zone", anyText(), func(v *view, to sink) { to.text(v.localTime().Location().String()) }},
	}
}

func actionNames() []string {
	names := make([]string, 0, lock.ActAdmin)
	for a := lock.ActAcquire; a <= lock.ActAdmin; a++ {
		names = append(names, a.String())
	}
	return names
}

func commandNames() []string {
	return []string{
		"plan", "apply", "import", "state", "policy_check", "approve_policies", "unlock", "version", "other", "",
	}
}

func weekdayNames() []string {
	return []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
}
