package storetest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// moment is a short length of time: whatever must end by itself ends after it.
const moment = 60 * time.Millisecond

// timed are the tests of what ends by itself.
func timed() []scenario {
	return []scenario{
		{name: "Lease/ends", test: leaseEnds},
		{name: "Lease/renewed", test: leaseRenewed},
		{name: "Lease/capped", test: leaseCapped},
		{name: "Lease/startsAtConfirm", test: leaseStartsAtConfirm},
		{name: "Lease/none", test: leaseNone},
		{name: "Offer/lapses", rules: shortOffers, test: offerLapses},
		{name: "Offer/lapsesToTheNext", rules: shortOffers, test: offerLapsesToTheNext},
		{name: "Offer/lengths", rules: twoOffers, test: offerLengths},
		{name: "Offer/outlastsTheWait", rules: twoOffers, test: offerOutlastsTheWait},
		{name: "Offer/endsWithThePlace", rules: twoOffers, test: offerEndsWithThePlace},
		{name: "Wait/runsOut", test: waitRunsOut},
		{name: "Attendance/lapses", test: attendanceLapses},
		{name: "Attendance/renewed", test: attendanceRenewed},
		{name: "Attendance/byRepeat", test: attendanceByRepeat},
		{name: "Tombstone/forgotten", rules: shortTombstones, test: tombstoneForgotten},
		{name: "Idempotency/forgotten", rules: shortMemory, test: idempotencyForgotten},
	}
}

func shortOffers(r *lock.Rules) { r.OfferTimeout, r.PollOfferTimeout = moment, moment }

func twoOffers(r *lock.Rules) { r.OfferTimeout, r.PollOfferTimeout = time.Hour, 2*time.Hour }

func shortTombstones(r *lock.Rules) { r.Ended = moment }

func shortMemory(r *lock.Rules) { r.Idempotency = moment }

// leased is ask for a lease of that length.
func leased(a *lock.Acquire, ttl time.Duration) *lock.Acquire {
	a.Lock.TTL = ttl
	return a
}

func leaseEnds(s *stage) {
	a := s.held(leased(ask("A", 0, "x"), moment))
	require.Equal(s.t, moment, a.ExpiresAt.Sub(a.AcquiredAt))
	s.queued(ask("B", time.Hour, "x"))
	expired := s.await(events.LockExpired, "A")
	require.Equal(s.t, lock.Expired, expired.Lock.State)
	require.Equal(s.t, lock.Held, expired.Before)
	require.False(s.t, expired.Time.Before(a.ExpiresAt), "ended before its time")
	s.await(events.LockOffered, "B")
	require.ErrorIs(s.t, s.apply(&lock.Renew{ID: a.ID, Token: a.Token}).Err, lock.ErrStaleToken)
	require.True(s.t, s.done(&lock.Release{ID: a.ID, Token: a.Token}).Repeat)
	require.Equal(s.t, lock.Expired, s.get("A").State)
}

func leaseRenewed(s *stage) {
	a := s.held(leased(ask("A", 0, "x"), time.Hour))
	same := s.done(&lock.Renew{ID: a.ID, Token: a.Token, TTL: -1}).Lock
	require.Equal(s.t, time.Hour, same.TTL)
	require.False(s.t, same.ExpiresAt.Before(a.ExpiresAt))
	short := s.done(&lock.Renew{ID: a.ID, Token: a.Token, TTL: moment}).Lock
	require.Equal(s.t, moment, short.TTL)
	require.True(s.t, short.ExpiresAt.Before(a.ExpiresAt))
	s.await(events.LockRenewed, "A")
	s.await(events.LockExpired, "A")
}

func leaseCapped(s *stage) {
	a := leased(ask("A", 0, "x"), time.Minute)
	a.Lock.MaxTTL = time.Hour
	l := s.held(a)
	for _, c := range []struct{ ask, get time.Duration }{
		{2 * time.Hour, time.Hour}, {0, time.Hour}, {time.Second, time.Second}, {-1, time.Second},
	} {
		got := s.done(&lock.Renew{ID: l.ID, Token: l.Token, TTL: c.ask}).Lock
		require.Equal(s.t, c.get, got.TTL, "renewed for %s", c.ask)
		require.False(s.t, got.ExpiresAt.IsZero())
	}
}

func leaseStartsAtConfirm(s *stage) {
	a := s.held(ask("A", 0, "x"))
	b := s.queued(leased(ask("B", time.Hour, "x"), time.Minute))
	require.Zero(s.t, b.ExpiresAt)
	s.release(&a)
	got := s.done(&lock.Confirm{
		ID: b.ID, TTL: time.Hour, MaxTTL: 2 * time.Hour, Decision: lock.Summary{ID: "second", Revision: "r2"},
	}).Lock
	require.Equal(s.t, lock.Held, got.State)
	require.Greater(s.t, got.Token, a.Token)
	require.Equal(s.t, time.Hour, got.ExpiresAt.Sub(got.AcquiredAt))
	require.Equal(s.t, 2*time.Hour, got.MaxTTL)
	require.Equal(s.t, lock.Summary{ID: "second", Revision: "r2"}, got.Decision)
	require.Zero(s.t, got.Attendance, "nobody waits any more")
	require.Zero(s.t, got.OfferUntil)
}

func leaseNone(s *stage) {
	a := s.held(ask("A", 0, "x"))
	require.Zero(s.t, a.ExpiresAt)
	got := s.done(&lock.Renew{ID: a.ID, Token: a.Token, TTL: 0}).Lock
	require.Zero(s.t, got.ExpiresAt)
}

// offerLapses: alone, a request is offered twice, and ends after that.
func offerLapses(s *stage) {
	a := s.held(ask("A", 0, "x"))
	s.queued(ask("B", time.Hour, "x"))
	s.release(&a)
	s.await(events.LockOffered, "B")
	again := s.await(events.QueuedRequest, "B")
	require.Equal(s.t, "offer_lapsed", again.Reason)
	require.Equal(s.t, 1, again.Lock.Lapses)
	require.Equal(s.t, lock.Offered, again.Before)
	require.Zero(s.t, again.Lock.OfferUntil)
	s.await(events.LockOffered, "B")
	end := s.await(events.LockTimeout, "B")
	require.Equal(s.t, lock.TimedOut, end.Lock.State)
	require.Equal(s.t, 2, end.Lock.Lapses)
	s.held(ask("C", 0, "x"))
}

func offerLapsesToTheNext(s *stage) {
	a := s.held(ask("A", 0, "x"))
	b := s.queued(ask("B", time.Hour, "x"))
	s.queued(ask("C", time.Hour, "x"))
	s.release(&a)
	s.await(events.LockOffered, "B")
	s.await(events.LockOffered, "C")
	again := s.await(events.QueuedRequest, "B")
	require.Equal(s.t, b.RequestedAt, again.Lock.RequestedAt, "it keeps its place")
	s.await(events.LockOffered, "B")
}

// offerLengths: an offer to an open call is short, one to a caller that polls is
// long, and attending later does not move it.
func offerLengths(s *stage) {
	open := ask("A", time.Hour, "x")
	open.Attend.Attended = true
	for i, c := range []struct {
		ask  *lock.Acquire
		want time.Duration
	}{{open, time.Hour}, {ask("B", time.Hour, "y"), 2 * time.Hour}} {
		key := string(c.ask.Lock.Resources[0].Key)
		holder := s.held(ask("H"+string(rune('0'+i)), 0, key))
		s.queued(c.ask)
		s.release(&holder)
		offered := s.await(events.LockOffered, nameOf(c.ask.Lock.ID))
		require.Equal(s.t, c.want, offered.Lock.OfferUntil.Sub(offered.Time))
		for _, attended := range []bool{true, false} {
			s.done(&lock.Attend{IDs: []lock.ID{c.ask.Lock.ID}, Attendee: lock.Attendee{Attended: attended}})
			l := s.get(nameOf(c.ask.Lock.ID))
			require.Equal(s.t, attended, l.Attended)
			require.Equal(s.t, offered.Lock.OfferUntil, l.OfferUntil)
		}
	}
}

// offerOutlastsTheWait: the end of the wait does not end a standing offer. The
// lease of another lock shows that the time has passed.
func offerOutlastsTheWait(s *stage) {
	a := s.held(ask("A", 0, "x"))
	s.queued(ask("B", moment, "x"))
	s.release(&a)
	s.held(leased(ask("C", 0, "y"), 2*moment))
	s.await(events.LockExpired, "C")
	require.Equal(s.t, lock.Offered, s.get("B").State)
	require.Equal(s.t, lock.Held, s.done(&lock.Confirm{ID: idOf("B")}).Lock.State)
}

// offerEndsWithThePlace: nobody comes back to a place that has lapsed, so the
// next waiter does not stand behind an offer made to it.
func offerEndsWithThePlace(s *stage) {
	a := s.held(ask("A", 0, "x"))
	b := ask("B", time.Hour, "x")
	b.Attend.Place = moment
	s.queued(b)
	s.queued(ask("C", time.Hour, "x"))
	s.release(&a)
	s.await(events.LockOffered, "B")
	s.await(events.LockOffered, "C")
	s.await(events.QueueTimeout, "B")
}

func waitRunsOut(s *stage) {
	s.held(ask("A", 0, "x"))
	b := s.queued(ask("B", moment, "x"))
	require.Equal(s.t, moment, b.WaitUntil.Sub(b.RequestedAt))
	end := s.await(events.QueueTimeout, "B")
	require.Equal(s.t, "wait ran out", end.Reason)
	require.Equal(s.t, lock.TimedOut, end.Lock.State)
	require.Equal(s.t, "wait ran out", s.get("B").Reason)
	var ended *lock.EndedError
	require.ErrorAs(s.t, s.apply(&lock.Confirm{ID: idOf("B")}).Err, &ended)
	require.Equal(s.t, lock.TimedOut, ended.Lock.State)
}

func attendanceLapses(s *stage) {
	s.held(ask("A", 0, "x"))
	b := ask("B", time.Hour, "x")
	b.Attend = lock.Attendee{Attended: true, Place: moment}
	l := s.queued(b)
	require.Equal(s.t, moment, l.AliveUntil.Sub(l.RequestedAt))
	s.queued(ask("C", time.Hour, "x"))
	require.Equal(s.t, "caller was not heard of", s.await(events.QueueTimeout, "B").Reason)
	require.Equal(s.t, 1, s.get("C").Position)
}

// attendanceRenewed: one step for several requests; those that do not wait are
// passed over.
func attendanceRenewed(s *stage) {
	a := s.held(ask("A", 0, "x"))
	for _, name := range []string{"B", "C"} {
		w := ask(name, time.Hour, "x")
		w.Attend.Place = time.Hour
		s.queued(w)
	}
	before := s.fresh()
	s.done(&lock.Attend{
		IDs:      []lock.ID{idOf("A"), idOf("B"), idOf("C"), idOf("GONE")},
		Attendee: lock.Attendee{Attended: true},
	})
	require.Empty(s.t, s.fresh(), "attending is no transition")
	require.NotEmpty(s.t, before)
	for _, name := range []string{"B", "C"} {
		require.Equal(s.t, lock.Attendance{Attended: true}, s.get(name).Attendance)
	}
	require.Equal(s.t, a, s.get("A"))
	s.done(&lock.Attend{IDs: []lock.ID{idOf("B")}, Attendee: lock.Attendee{}})
	s.done(&lock.Attend{IDs: []lock.ID{idOf("B"), idOf("C")}, Attendee: lock.Attendee{Attended: true, Place: time.Hour}, Beat: true})
	require.Zero(s.t, s.get("B").Attendance, "a heartbeat does not bring a call back")
	require.NotZero(s.t, s.get("C").AliveUntil)
	s.done(&lock.Attend{IDs: []lock.ID{idOf("B"), idOf("C")}, Attendee: lock.Attendee{Place: moment}})
	s.await(events.QueueTimeout, "B")
	s.await(events.QueueTimeout, "C")
}

func attendanceByRepeat(s *stage) {
	s.held(ask("A", 0, "x"))
	b := ask("B", time.Hour, "x")
	b.Idempotency = lock.Idempotency{Key: "key", Hash: "hash"}
	b.Attend.Place = time.Hour
	s.queued(b)
	again := *b
	again.Lock.ID = idOf("B2")
	again.Attend = lock.Attendee{Attended: true}
	got := s.done(&again)
	require.True(s.t, got.Repeat)
	require.Equal(s.t, lock.Attendance{Attended: true}, got.Lock.Attendance)
}

// tombstoneForgotten: an ended request is readable for a while. Its idempotency
// key outlives it, so that a late repeat never makes a second lock.
func tombstoneForgotten(s *stage) {
	a := ask("A", 0, "x")
	a.Idempotency = lock.Idempotency{Key: "key", Hash: "hash"}
	l := s.held(a)
	s.release(&l)
	s.passes(2 * moment)
	_, err := s.store.Get(s.t.Context(), l.ID)
	require.ErrorIs(s.t, err, lock.ErrNotFound)
	require.ErrorIs(s.t, s.apply(&lock.Release{ID: l.ID, Token: l.Token}).Err, lock.ErrNotFound)
	again := ask("B", 0, "x")
	again.Idempotency = lock.Idempotency{Key: "key", Hash: "other"}
	require.ErrorIs(s.t, s.apply(again).Err, lock.ErrIdempotencyConflict)
	again.Idempotency.Hash = "hash"
	require.ErrorIs(s.t, s.apply(again).Err, lock.ErrForgotten)
}

func idempotencyForgotten(s *stage) {
	a := ask("A", 0, "x")
	a.Idempotency = lock.Idempotency{Key: "key", Hash: "hash"}
	s.held(a)
	s.passes(2 * moment)
	again := ask("B", 0, "y")
	again.Idempotency = lock.Idempotency{Key: "key", Hash: "other"}
	require.Equal(s.t, idOf("B"), s.held(again).ID)
}

// passes lets that much of the store's time go by: a lease of that length ends.
func (s *stage) passes(d time.Duration) {
	s.t.Helper()
	s.held(leased(elsewhere("clock", ask("CK", 0, "clock")), d))
	s.await(events.LockExpired, "CK")
}
