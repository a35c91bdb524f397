package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lockgate/lockgate/core/lock"
)

// redirectPause is how long a slot that moves is left alone.
const redirectPause = 20 * time.Millisecond

// waitShare: replicas get this part of the time of one operation, so that there
// is some left to follow a slot, and to send scripts again.
const waitShare = 4

var errShort = errors.New("too few replicas have it")

// sendReplicated runs calls and waits until Config.Replicas replicas have them.
// WAIT counts the writes of its own connection only, so each server gets one
// pipeline that ends with it, and slots that moved are followed here instead of
// by go-redis.
func (s *Store) sendReplicated(ctx context.Context, calls []*call) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.OperationTimeout)
	defer cancel()
	left := calls
	for {
		s.sendOnce(ctx, left)
		if left = s.again(ctx, left); len(left) == 0 || !pause(ctx, redirectPause) {
			return
		}
	}
}

// again lists what must be sent once more: the slot has moved, or the server does
// not know the script.
func (s *Store) again(ctx context.Context, calls []*call) []*call {
	if len(failed(calls, unknownScript)) > 0 {
		s.metrics.reloads.Inc()
		if err := s.load(ctx); err != nil {
			s.logger.WarnContext(ctx, "loading the scripts into redis", "error", err)
		}
	}
	if c, ok := s.client.(*goredis.ClusterClient); ok && len(failed(calls, moved)) > 0 {
		c.ReloadState(ctx)
	}
	return failed(calls, func(err error) bool { return unknownScript(err) || moving(err) || moved(err) })
}

// moved: another server has the slot, or will.
func moved(err error) bool {
	_, away := goredis.IsMovedError(err)
	_, asked := goredis.IsAskError(err)
	return away || asked
}

// sendOnce runs one pipeline a server, side by side.
func (s *Store) sendOnce(ctx context.Context, calls []*call) {
	byNode := make(map[*goredis.Client][]*call)
	var asked []*call
	for _, c := range calls {
		if _, ask := goredis.IsAskError(c.err); ask {
			asked = append(asked, c)
			continue
		}
		node, err := s.master(ctx, c.ns)
		if err != nil {
			c.err = err
			continue
		}
		byNode[node] = append(byNode[node], c)
	}
	var wg sync.WaitGroup
	for node, group := range byNode {
		wg.Go(func() { s.sendTo(ctx, node, group, false) })
	}
	wg.Wait()
	for _, c := range asked {
		addr, _ := goredis.IsAskError(c.err)
		node, err := s.nodeAt(ctx, addr)
		if err != nil {
			c.err = err
			continue
		}
		s.sendTo(ctx, node, []*call{c}, true)
	}
}

// sendTo runs a group on one server and WAIT behind it, on the same connection.
func (s *Store) sendTo(ctx context.Context, node *goredis.Client, group []*call, asking bool) { //nolint:revive // flag: a slot on its way needs one word more
	pipe := node.Pipeline()
	cmds := make([]*goredis.Cmd, len(group))
	for i, c := range group {
		if asking {
			pipe.Do(ctx, "ASKING")
		}
		cmds[i] = pipe.EvalSha(ctx, c.script.sha, []string{s.keys.clock(c.ns)}, c.args...)
	}
	wait := pipe.Do(ctx, "WAIT", s.cfg.Replicas, (s.cfg.OperationTimeout / waitShare).Milliseconds())
	_, err := pipe.Exec(ctx)
	have, waitErr := wait.Int()
	for i, c := range group {
		c.read(s, cmds[i])
		if c.err == nil && c.reply == nil {
			c.err = err
		}
		c.short = c.err == nil && (waitErr != nil || have < s.cfg.Replicas)
	}
}

func (s *Store) master(ctx context.Context, ns lock.Namespace) (*goredis.Client, error) {
	switch c := s.client.(type) {
	case *goredis.ClusterClient:
		return c.MasterForKey(ctx, s.keys.clock(ns))
	case *goredis.Client:
		return c, nil
	}
	return nil, errNoMaster
}

// nodeAt answers the master at an address.
func (s *Store) nodeAt(ctx context.Context, addr string) (*goredis.Client, error) {
	var mu sync.Mutex
	var found *goredis.Client
	err := s.eachMaster(ctx, func(_ context.Context, c *goredis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		if c.Options().Addr == addr {
			found = c
		}
		return nil
	})
	if found == nil && err == nil {
		err = fmt.Errorf("a slot moves to %s, which is no known master", addr)
	}
	return found, err
}

// takeBack undoes what an acquire or a confirm gave with too few replicas. It is
// tried once: what it cannot undo ends with its lease, or is found by a repeat.
func (s *Store) takeBack(ctx context.Context, t *task) {
	var undo []*call
	switch step := t.step.(type) {
	case *lock.Acquire:
		if c := t.calls[0]; c.code == codeHeld || c.code == codeQueued {
			undo = append(undo, s.call(s.scripts[undoLua], c.ns, string(step.Lock.ID), "acquire", step.Idempotency.Key))
		}
	case *lock.Confirm:
		for _, c := range t.calls {
			if c.code == codeOK {
				undo = append(undo, s.call(s.scripts[undoLua], c.ns, string(step.ID), "confirm", ""))
			}
		}
	}
	if len(undo) == 0 {
		return
	}
	s.metrics.undone.Inc()
	s.send(context.WithoutCancel(ctx), undo)
	for _, c := range undo {
		if c.err != nil {
			s.logger.WarnContext(ctx, "a grant that too few replicas have was not taken back",
				"namespace", c.ns, "step", t.step.Name(), "error", c.err)
		}
	}
}
