package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

// stuck makes a deadlock of ann and bob, which bob loses; it answers bob's error.
func stuck(ctx context.Context, c *client.Client) error {
	ask := func(owner, key, priority string, wait time.Duration) *wire.AcquireRequest {
		return &wire.AcquireRequest{
			Owner: owner, Resources: []wire.Resource{{Key: key}}, Priority: priority, Wait: wire.Duration(wait),
		}
	}
	for _, first := range []*wire.AcquireRequest{ask("ann", "vpc", "high", 0), ask("bob", "dns", "low", 0)} {
		if _, err := c.Acquire(ctx, first); err != nil {
			return err
		}
	}
	annsCtx, annGoes := context.WithCancel(ctx)
	waits, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = c.Acquire(annsCtx, ask("ann", "dns", "high", time.Minute), client.OnProgress(func(*wire.Lock) { close(waits) }))
	}()
	<-waits
	_, err := c.Acquire(ctx, ask("bob", "vpc", "low", time.Minute))
	annGoes()
	<-gone
	return err
}

func ExampleClient_Deadlocks() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()

	err := stuck(ctx, c)
	var p *wire.Problem
	if errors.Is(err, client.ErrDeadlock) && errors.As(err, &p) {
		fmt.Println("bob is to ask again with retry_of:", p.LockID != "")
	}
	all, err := c.Deadlocks(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range all {
		fmt.Println(d.Owners, "gave way:", d.Victims, "by", d.Policy)
	}
	// Output:
	// bob is to ask again with retry_of: true
	// [ann bob] gave way: [bob] by lowest_priority
}

func ExampleClient_Graph() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()

	w, err := c.DeclareWait(ctx, "acme/infra", "ci:parent", "ci:child", time.Minute)
	if err != nil {
		fmt.Println(err)
		return
	}
	g, err := c.Graph(ctx, "acme/infra")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range g.Edges {
		fmt.Println(e.From, "waits for", e.To, "as declared:", e.Request == w.ID)
	}
	// Output: ci:parent waits for ci:child as declared: true
}

func ExampleClient_GraphDOT() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()

	text, err := c.GraphDOT(ctx, "acme/infra")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.HasPrefix(text, "digraph lockgate {"))
	// Output: true
}

func ExampleClient_DeclareWait() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()

	if _, err := c.DeclareWait(ctx, "", "ci:parent", "ci:child", 0); err != nil {
		fmt.Println(err)
		return
	}
	_, err := c.DeclareWait(ctx, "", "ci:child", "ci:parent", 0)
	fmt.Println(errors.Is(err, client.ErrDeadlock))
	// Output: true
}

func ExampleClient_WithdrawWait() {
	ctx := context.Background()
	c, stop := gateway()
	defer stop()

	w, err := c.DeclareWait(ctx, "", "ci:parent", "ci:child", 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.WithdrawWait(ctx, w.ID))
	fmt.Println(errors.Is(c.WithdrawWait(ctx, w.ID), client.ErrNotFound))
	// Output:
	// <nil>
	// true
}
