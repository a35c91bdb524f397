package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/lockgate/lockgate/core/component"
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/policy"
)

// news is something that happened to the gateway itself.
type news struct {
	what   events.Type
	reason string
}

// announcer appends news to the event log. Its sources must not wait for the
// store, so news queues; what finds the queue full is in the log only.
type announcer struct {
	logger *slog.Logger
	queue  chan news
	ailing map[string]bool // components announced as not well; owned by changed
}

const (
	maxNews         = 64
	announceTimeout = 5 * time.Second
)

func newAnnouncer(logger *slog.Logger) *announcer {
	return &announcer{logger: logger, queue: make(chan news, maxNews), ailing: map[string]bool{}}
}

func (a *announcer) tell(what events.Type, reason string) {
	select {
	case a.queue <- news{what, reason}:
	default:
		a.logger.Warn("too much happens at once, an event is left out", "type", string(what), "reason", reason)
	}
}

// reloaded is policy.Options.OnReload.
func (a *announcer) reloaded(r policy.ReloadResult) {
	switch {
	case r.OK:
		a.tell(events.PolicyReloaded, "revision "+r.Revision+" is in force")
	case len(r.Faults) == 1:
		a.tell(events.PolicyReloadFailed, r.Faults[0].String())
	case len(r.Faults) > 1:
		a.tell(events.PolicyReloadFailed, fmt.Sprintf("%s, and %d more faults", r.Faults[0].String(), len(r.Faults)-1))
	}
}

// changed is component.Options.OnChange. That components start and stop with
// the gateway is no news; that one is not well, and is well again, is.
func (a *announcer) changed(s component.Status) {
	ails := s.State == component.Degraded || s.State == component.Failed
	recovered := s.State == component.Healthy && a.ailing[s.Name]
	if ails || recovered {
		a.ailing[s.Name] = ails
		a.tell(events.ComponentChanged, s.Name+" is "+s.State.String())
	}
}

// run announces news until ctx ends.
func (a *announcer) run(ctx context.Context, announce func(context.Context, events.Type, string) error) {
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-a.queue:
			bounded, cancel := context.WithTimeout(ctx, announceTimeout)
			err := announce(bounded, n.what, n.reason)
			cancel()
			if err != nil {
				a.logger.WarnContext(ctx, "an event was not recorded", "type", string(n.what), "reason", n.reason, "error", err.Error())
			}
		}
	}
}
