package lock

import (
	"errors"
	"fmt"
	"time"
)

// Aging is how much waiting one point of priority is worth. It makes the order
// of every queue: score = enqueued − value × aging, lower first, ties by id.
// Because all waiters age alike the order never changes and nothing is rescored.
type Aging time.Duration

// StrictAging makes priority absolute: one point is worth 4×10^12 milliseconds,
// longer than any wait. It keeps every score below 2^53.
const StrictAging = Aging(4_000_000_000_000 * time.Millisecond)

// MaxAging bounds every other setting, so that the whole scale is at most a
// year.
const MaxAging = Aging(365 * 24 * time.Hour / MaxValue)

// Score is the place in order of a request: milliseconds, lower goes first.
func (a Aging) Score(enqueued time.Time, value int) int64 {
	return enqueued.UnixMilli() - int64(value)*time.Duration(a).Milliseconds()
}

// UnmarshalText reads a duration a point, or "strict".
func (a *Aging) UnmarshalText(text []byte) error {
	if string(text) == "strict" {
		*a = StrictAging
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("aging is a duration a point, or strict: %w", err)
	}
	*a = Aging(d)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (a Aging) MarshalText() ([]byte, error) {
	if a == StrictAging {
		return []byte("strict"), nil
	}
	return []byte(time.Duration(a).String()), nil
}

// Rules are the settings of the lock table that every store obeys.
type Rules struct {
	Aging            Aging         // wait worth one point of priority; 0 is FIFO, StrictAging absolute; default 3.6s
	OfferTimeout     time.Duration // an offer to an open call; default 3s
	PollOfferTimeout time.Duration // an offer to a caller that was answered 202; default 30s
	Ended            time.Duration // how long ended requests stay readable; default 1h
	Idempotency      time.Duration // how long idempotency keys are kept; default 24h
	Events           time.Duration // how long events are kept; default 168h
}

// DefaultRules are the rules of a gateway without configuration.
func DefaultRules() Rules {
	return Rules{
		Aging:            Aging(3600 * time.Millisecond),
		OfferTimeout:     3 * time.Second,
		PollOfferTimeout: 30 * time.Second,
		Ended:            time.Hour,
		Idempotency:      24 * time.Hour,
		Events:           168 * time.Hour,
	}
}

// Validate answers all faults joined.
func (r *Rules) Validate() error {
	var faults []error
	if r.Aging != StrictAging && (r.Aging < 0 || r.Aging > MaxAging) {
		faults = append(faults, fmt.Errorf("aging must be strict or between 0s and %s", time.Duration(MaxAging)))
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{
		{"offer_timeout", r.OfferTimeout},
		{"poll_offer_timeout", r.PollOfferTimeout},
		{"ended", r.Ended},
		{"idempotency", r.Idempotency},
		{"retention", r.Events},
	} {
		if d.d < time.Millisecond {
			faults = append(faults, fmt.Errorf("%s must be at least 1ms", d.name))
		}
	}
	return errors.Join(faults...)
}
