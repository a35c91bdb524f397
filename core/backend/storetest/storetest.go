// Package storetest is the contract of every store of the lock table, as tests.
//
// A store's own test calls [Run], or [RunInBubble] when nothing in the store
// blocks on anything but channels and timers. Each test opens one store. What a
// store does when its disk or its server fails is not in here.
//
// # Guarantees
//
// The suite waits for what must happen and never for what must not: with real
// time a slow machine makes it slower, not red. In a bubble the same tests also
// fix the moments.
//
// The traces in testdata are written for people; model.go is the same contract as
// a program that is too simple to be wrong, and too slow to be used.
package storetest

import (
	"embed"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
)

//go:embed testdata
var traces embed.FS

// Open answers an empty store that runs until the test's cleanup ends it.
type Open func(t *testing.T, rules lock.Rules) orchestrator.Store

// scenario is one test of the contract.
type scenario struct {
	name  string
	rules func(*lock.Rules) // nil: as Rules
	test  func(*stage)
}

// Rules are the rules that the suite opens its stores with, where a test needs
// no others: long enough that nothing ends by itself.
func Rules() lock.Rules {
	return lock.Rules{
		Aging: lock.Aging(3600 * time.Millisecond), OfferTimeout: time.Hour, PollOfferTimeout: time.Hour,
		Ended: time.Hour, Idempotency: time.Hour, Events: time.Hour,
	}
}

// Run tests a store in real time.
func Run(t *testing.T, open Open) {
	t.Helper()
	each(t, func(t *testing.T, s scenario) {
		t.Helper()
		t.Parallel()
		s.run(t, open, realTime)
	})
}

// RunInBubble tests a store in fake time, each test in a bubble of its own.
func RunInBubble(t *testing.T, open Open) {
	t.Helper()
	each(t, func(t *testing.T, s scenario) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) { s.run(t, open, fakeTime) })
	})
}

// clock says whose time a store runs in.
type clock int

const (
	realTime clock = iota
	fakeTime       // of a bubble: it moves when everybody waits
)

func each(t *testing.T, run func(*testing.T, scenario)) {
	t.Helper()
	all := append(traced(t), timed()...)
	all = append(all, reading()...)
	all = append(all, deadlocks()...)
	all = append(all, scenario{name: "Model", rules: modelRules, test: againstModel})
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) { run(t, s) })
	}
}

func (s *scenario) run(t *testing.T, open Open, clock clock) {
	t.Helper()
	rules := Rules()
	if s.rules != nil {
		s.rules(&rules)
	}
	st := newStage(t, open(t, rules))
	st.clock = clock
	s.test(st)
}

// traced is one scenario a file of testdata; a file whose name ends in _strict
// or _fifo runs with those rules.
func traced(t *testing.T) []scenario {
	t.Helper()
	entries, err := fs.ReadDir(traces, "testdata")
	require.NoError(t, err)
	var all []scenario
	for _, entry := range entries {
		all = append(all, scenario{
			name:  "Trace/" + entry.Name(),
			rules: func(r *lock.Rules) { r.Aging = agingOf(entry.Name()) },
			test: func(s *stage) {
				text, err := fs.ReadFile(traces, "testdata/"+entry.Name())
				require.NoError(s.t, err)
				datadriven.RunTestFromString(s.t, string(text), newTrace(s).do)
			},
		})
	}
	return all
}

func agingOf(file string) lock.Aging {
	switch file {
	case "order_strict.txt":
		return lock.StrictAging
	case "order_fifo.txt":
		return 0
	}
	return Rules().Aging
}
