package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lockgate/lockgate/core/lock"
)

// call is one script to run in one namespace, and then what it answered.
type call struct {
	script *script
	ns     lock.Namespace
	args   []any
	reply  *reply
	code   string // first word of the reply
	err    error  // it was not answered: nothing is known
	short  bool   // answered, but too few replicas have it
}

// read takes what Redis answered.
func (c *call) read(s *Store, cmd *goredis.Cmd) {
	c.reply, c.code = nil, ""
	v, err := cmd.Result()
	if c.err = err; err != nil {
		return
	}
	c.reply = replyOf(v)
	c.code = c.reply.text()
	due := c.reply.number()
	if c.err = c.reply.fault; c.err != nil {
		c.err = fmt.Errorf("script %s: %w", c.script.name, c.err)
		return
	}
	if c.code == codeMoving {
		c.err = errMoving
		return
	}
	s.directory.expect(c.ns, due, time.Now())
}

// errMoving is a namespace of which no server has everything: its slot moves.
// Nothing was done.
var errMoving = errors.New("the slot of the namespace is being moved")

// runOne runs one script on its own.
func (s *Store) runOne(ctx context.Context, sc *script, key string, args ...any) *goredis.Cmd {
	cmd := s.client.EvalSha(ctx, sc.sha, []string{key}, args...)
	if goredis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		s.metrics.reloads.Inc()
		return s.client.Eval(ctx, sc.text, []string{key}, args...)
	}
	return cmd
}

// send runs calls as one pipeline a server. Each call has its own error. Calls
// whose slot is being moved are sent again until it has moved.
func (s *Store) send(ctx context.Context, calls []*call) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.OperationTimeout)
	defer cancel()
	for len(calls) > 0 {
		s.exec(ctx, s.client.Pipeline(), calls, false)
		if missing := failed(calls, unknownScript); len(missing) > 0 {
			s.metrics.reloads.Inc()
			if err := s.load(ctx); err != nil {
				s.logger.WarnContext(ctx, "loading the scripts into redis", "error", err)
			}
			s.exec(ctx, s.client.Pipeline(), missing, true)
		}
		if calls = failed(calls, moving); len(calls) > 0 && !pause(ctx, redirectPause) {
			return
		}
	}
}

// exec runs one pipeline of calls, by the scripts' names or whole texts.
func (s *Store) exec(ctx context.Context, pipe goredis.Pipeliner, calls []*call, whole bool) { //nolint:revive // flag: one loop for both spellings of the same command
	cmds := make([]*goredis.Cmd, len(calls))
	for i, c := range calls {
		keys := []string{s.keys.clock(c.ns)}
		if whole {
			cmds[i] = pipe.Eval(ctx, c.script.text, keys, c.args...)
		} else {
			cmds[i] = pipe.EvalSha(ctx, c.script.sha, keys, c.args...)
		}
	}
	_, err := pipe.Exec(ctx)
	for i, c := range calls {
		c.read(s, cmds[i])
		if c.err == nil && c.reply == nil {
			c.err = err
		}
	}
}

// failed lists the calls whose error is of a kind.
func failed(calls []*call, kind func(error) bool) []*call {
	var list []*call
	for _, c := range calls {
		if c.err != nil && kind(c.err) {
			list = append(list, c)
		}
	}
	return list
}

// unknownScript: the server does not know the script; its scripts were flushed,
// or it is new.
func unknownScript(err error) bool { return goredis.HasErrorPrefix(err, "NOSCRIPT") }

// moving: the slot is on its way to another server.
func moving(err error) bool {
	return errors.Is(err, errMoving) || goredis.HasErrorPrefix(err, "TRYAGAIN")
}

// load makes every master know every script.
func (s *Store) load(ctx context.Context) error {
	return s.eachMaster(ctx, func(ctx context.Context, c *goredis.Client) error {
		pipe := c.Pipeline()
		for _, sc := range s.scripts {
			pipe.ScriptLoad(ctx, sc.text)
		}
		_, err := pipe.Exec(ctx)
		return err
	})
}

var errNoMaster = errors.New("the client of Redis is of no known kind")

func (s *Store) eachMaster(ctx context.Context, do func(context.Context, *goredis.Client) error) error {
	return eachMaster(ctx, s.client, do)
}

func eachMaster(ctx context.Context, client goredis.UniversalClient, do func(context.Context, *goredis.Client) error) error {
	switch c := client.(type) {
	case *goredis.ClusterClient:
		return c.ForEachMaster(ctx, do)
	case *goredis.Client:
		return do(ctx, c)
	}
	return errNoMaster
}
