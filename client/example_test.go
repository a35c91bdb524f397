package client_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

// vpc asks for one resource, for one owner.
func vpc(owner string) *wire.AcquireRequest {
	return &wire.AcquireRequest{
		Namespace: "acme/infra",
		Resources: []wire.Resource{{Key: "acme/infra/vpc/default/"}},
		Owner:     owner,
	}
}

func ExampleNew() {
	_, err := client.New(client.Config{URL: "gateway.example:7480"})
	fmt.Println(err)
	// Output: the gateway's URL "gateway.example:7480" is no http or https address such as http://127.0.0.1:7480
}

func ExampleConfig_Validate() {
	cfg := client.Config{URL: "https://gateway.example"}
	fmt.Println(cfg.Validate())
	// Output: <nil>
}

func ExampleClient_Acquire() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()

	mine, err := c.Acquire(ctx, vpc("ci:run-7"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("mine is", mine.State)

	_, err = c.Acquire(ctx, vpc("ci:run-8"))
	var p *wire.Problem
	if errors.Is(err, client.ErrLocked) && errors.As(err, &p) {
		fmt.Println("locked by", p.BlockedBy[0].Owner)
	}
	// Output:
	// mine is held
	// locked by ci:run-7
}

func ExampleWithIdempotencyKey() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()

	first, _ := c.Acquire(ctx, vpc("ci:run-7"), client.WithIdempotencyKey("run-7"))
	again, _ := c.Acquire(ctx, vpc("ci:run-7"), client.WithIdempotencyKey("run-7"))
	fmt.Println(first.ID == again.ID, first.Token == again.Token)
	// Output: true true
}

func ExampleOnProgress() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()
	mine, _ := c.Acquire(ctx, vpc("ci:run-7"))

	request := vpc("ci:run-8")
	request.Wait = wire.Duration(time.Minute)
	theirs, err := c.Acquire(ctx, request, client.OnProgress(func(l *wire.Lock) {
		fmt.Printf("number %d, behind %s\n", l.Position, l.BlockedBy[0].Owner)
		_, _ = c.Release(ctx, mine.ID, mine.Token)
	}))
	fmt.Println(theirs.State, err)
	// Output:
	// number 1, behind ci:run-7
	// held <nil>
}

func ExampleClient_Hold() {
	c, stop := gateway()
	defer stop()

	request := vpc("ci:run-7")
	request.TTL = wire.Duration(time.Minute)
	hold, err := c.Hold(context.Background(), request)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := hold.Context() // ends when the lock is lost: hand it to the work
	fmt.Println("working:", ctx.Err() == nil)
	fmt.Println("unlocked:", hold.Unlock(context.Background()))
	// Output:
	// working: true
	// unlocked: <nil>
}

func ExampleHold_Context() {
	background := context.Background()
	c, stop := gateway()
	defer stop()

	request := vpc("ci:run-7")
	request.TTL = wire.Duration(300 * time.Millisecond)
	hold, _ := c.Hold(background, request)
	_, _ = c.ForceRelease(background, hold.Lock().ID, "the runner is gone")

	<-hold.Context().Done()
	fmt.Println(errors.Is(context.Cause(hold.Context()), client.ErrLost))
	fmt.Println(errors.Is(hold.Unlock(background), client.ErrLost))
	// Output:
	// true
	// true
}

func ExampleHold_Lock() {
	c, stop := gateway()
	defer stop()
	hold, _ := c.Hold(context.Background(), vpc("ci:run-7"))
	fmt.Println("fencing token above zero:", hold.Lock().Token > 0)
	_ = hold.Unlock(context.Background())
	// Output: fencing token above zero: true
}

func ExampleHold_Unlock() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()
	hold, _ := c.Hold(ctx, vpc("ci:run-7"))
	if err := hold.Unlock(ctx); err != nil {
		fmt.Println("somebody else may have been at it:", err)
	}
	l, _ := c.Get(ctx, hold.Lock().ID, 0)
	fmt.Println(l.State)
	// Output: released
}

func ExampleClient_Wait() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()
	mine, _ := c.Acquire(ctx, vpc("ci:run-7"))
	l, err := c.Wait(ctx, mine.ID, time.Second)
	fmt.Println(l.State, err)
	// Output: held <nil>
}

func ExampleClient_Get() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()
	mine, _ := c.Acquire(ctx, vpc("ci:run-7"))
	l, _ := c.Get(ctx, mine.ID, 0)
	fmt.Println(l.Owner, l.State)
	// Output: ci:run-7 held
}

func ExampleClient_List() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()
	_, _ = c.Acquire(ctx, vpc("ci:run-7"))
	for l, err := range c.List(ctx, client.ListFilter{Namespace: "acme/infra"}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(l.Owner, l.Resources[0].Key)
	}
	// Output: ci:run-7 acme/infra/vpc/default/
}

func ExampleClient_Queues() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()
	_, _ = c.Acquire(ctx, vpc("ci:run-7"))
	for q, err := range c.Queues(ctx, client.QueueFilter{Namespace: "acme/infra"}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: held by %s, %d waiting\n", q.Resource, q.Holders[0].Owner, q.Length)
	}
	// Output: acme/infra/vpc/default/: held by ci:run-7, 0 waiting
}

func ExampleClient_Renew() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()
	mine, _ := c.Acquire(ctx, vpc("ci:run-7"))
	hour := time.Hour
	l, _ := c.Renew(ctx, mine.ID, mine.Token, &hour)
	fmt.Println(l.TTL)
	// Output: 1h0m0s
}

func ExampleClient_Verify() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()
	mine, _ := c.Acquire(ctx, vpc("ci:run-7"))
	_, err := c.Verify(ctx, mine.ID, mine.Token)
	fmt.Println(err)
	_, err = c.Verify(ctx, mine.ID, mine.Token-1)
	fmt.Println(errors.Is(err, client.ErrStaleToken))
	// Output:
	// <nil>
	// true
}

func ExampleClient_Release() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()
	mine, _ := c.Acquire(ctx, vpc("ci:run-7"))
	l, _ := c.Release(ctx, mine.ID, mine.Token)
	fmt.Println(l.State)
	// Output: released
}

func ExampleClient_ForceRelease() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()
	theirs, _ := c.Acquire(ctx, vpc("ci:run-7"))
	l, _ := c.ForceRelease(ctx, theirs.ID, "the runner is gone")
	fmt.Println(l.State, "because", l.Reason)
	// Output: revoked because the runner is gone
}

func ExampleClient_EndOwner() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()
	_, _ = c.Acquire(ctx, vpc("atlantis:acme/infra#42"))
	ended, _ := c.EndOwner(ctx, "acme/infra", "atlantis:acme/infra#42")
	fmt.Println(len(ended), ended[0].State)
	// Output: 1 released
}

func ExampleClient_Reprioritize() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()
	_, _ = c.Acquire(ctx, vpc("ci:run-7"))

	request := vpc("ci:run-8")
	request.Wait = wire.Duration(time.Minute)
	waiting, cancel := context.WithCancel(ctx)
	_, err := c.Acquire(waiting, request, client.OnProgress(func(l *wire.Lock) {
		moved, _ := c.Reprioritize(ctx, l.ID, "high")
		fmt.Println("now", moved.Priority)
		cancel()
	}))
	fmt.Println(errors.Is(err, context.Canceled))
	// Output:
	// now high
	// true
}

func ExampleClient_Events() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()
	mine, _ := c.Acquire(ctx, vpc("ci:run-7"))
	_, _ = c.Release(ctx, mine.ID, mine.Token)
	fromTheStart := client.EventFilter{After: "0"}
	for e, err := range c.Events(ctx, fromTheStart) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(e.Type)
		if e.Data.After == client.Released {
			break
		}
	}
	// Output:
	// dev.lockgate.lock_acquired
	// dev.lockgate.lock_released
}

func ExampleClient_Decide() {
	c, stop := gateway()
	defer stop()
	d, _ := c.Decide(context.Background(), &wire.DecisionRequest{
		Action: "acquire", Namespace: "acme/infra", Owner: "ci:run-7",
		Resources: []wire.Resource{{Key: "acme/infra/vpc/default/"}},
	})
	fmt.Println(d.Allow, d.Priority)
	// Output: true normal
}

func ExampleClient_Decisions() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()
	_, _ = c.Acquire(ctx, vpc("ci:run-7"))
	for entry, err := range c.Decisions(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(len(entry) > 0)
		break
	}
	// Output: true
}

func ExampleClient_Decision() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()
	mine, _ := c.Acquire(ctx, vpc("ci:run-7"))
	entry, err := c.Decision(ctx, mine.Decision.ID)
	fmt.Println(len(entry) > 0, err)
	// Output: true <nil>
}

func ExampleClient_Status() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()
	_, _ = c.Acquire(ctx, vpc("ci:run-7"))
	s, _ := c.Status(ctx)
	fmt.Println(s.State, s.Locks.Held)
	// Output: healthy 1
}
