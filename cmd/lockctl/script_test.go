package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lockgate/lockgate/app"
	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

// awaitTime bounds what a script waits for.
const awaitTime = 20 * time.Second

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"lockctl": main})
}

// TestScripts runs each script of testdata/script with a gateway of its own,
// whose policy denies the namespace "frozen" and nothing else.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			url, stop, err := startGateway(filepath.Join(env.WorkDir, ".policy"))
			if err != nil {
				return err
			}
			env.Values[stopKey{}] = stop
			env.Defer(stop)
			env.Setenv("LOCKGATE_URL", url)
			env.Setenv("TZ", "UTC")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else every lockctl takes a second to exit under -race
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":       exits,
			"await":       await,
			"awaitstate":  awaitState,
			"setenv":      setEnv,
			"stopgateway": func(ts *testscript.TestScript, _ bool, _ []string) { ts.Value(stopKey{}).(func())() },
		},
	})
}

type stopKey struct{}

const testPolicy = `package lockgate.policy.test

grant contains "everything is granted"

deny contains {"code": "frozen", "msg": "the namespace is frozen until Monday"} if input.resource.namespace == "frozen"
`

func startGateway(policies string) (url string, stop func(), err error) {
	if err := os.MkdirAll(policies, 0o700); err != nil {
		return "", nil, err
	}
	if err := os.WriteFile(filepath.Join(policies, "test.rego"), []byte(testPolicy), 0o600); err != nil {
		return "", nil, err
	}
	cfg := app.DefaultConfig()
	cfg.HTTP.Listen = "127.0.0.1:0"
	cfg.HTTP.ShutdownGrace = 2 * time.Second
	cfg.Backend.URL = "memory:"
	cfg.Policy.Dir = policies
	logger, level := app.NewLogger(io.Discard, cfg.Log)
	ctx, cancel := context.WithCancel(context.Background())
	a, err := app.New(ctx, cfg, app.Options{Logger: logger, Level: level, Build: wire.Build{Version: "test"}})
	if err != nil {
		cancel()
		return "", nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = a.Run(ctx)
	}()
	<-a.Ready()
	return a.URL(), func() { cancel(); <-ended }, nil
}

// exits CODE PROGRAM [ARG...] runs a program that must exit so.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG...]")
	}
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		code = exit.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s; stderr: %s", code, args[0], ts.ReadFile("stderr"))
	}
}

// poll asks until the answer is yes.
func poll(ts *testscript.TestScript, what string, answer func() bool) {
	deadline := time.NewTimer(awaitTime)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !answer() {
		select {
		case <-tick.C:
		case <-deadline.C:
			ts.Fatalf("%s did not happen in %s", what, awaitTime)
		}
	}
}

// await FILE waits until another process has written the file.
func await(ts *testscript.TestScript, _ bool, args []string) {
	poll(ts, args[0], func() bool {
		info, err := os.Stat(ts.MkAbs(args[0]))
		return err == nil && info.Size() > 0
	})
}

// awaitstate STATE COUNT waits until so many requests are in that state.
func awaitState(ts *testscript.TestScript, _ bool, args []string) {
	gateway, err := client.New(client.Config{URL: ts.Getenv("LOCKGATE_URL")})
	ts.Check(err)
	poll(ts, fmt.Sprint(args), func() bool {
		found := 0
		for _, err := range gateway.List(context.Background(), client.ListFilter{State: args[0]}) {
			ts.Check(err)
			found++
		}
		return strconv.Itoa(found) == args[1]
	})
}

// setenv NAME FIELD takes a field of the JSON object on stdout; setenv NAME @FILE
// the content of a file.
func setEnv(ts *testscript.TestScript, _ bool, args []string) {
	if args[1][0] == '@' {
		ts.Setenv(args[0], ts.ReadFile(args[1][1:]))
		return
	}
	var object map[string]json.RawMessage
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &object))
	var text string
	if json.Unmarshal(object[args[1]], &text) != nil {
		text = string(object[args[1]])
	}
	ts.Setenv(args[0], text)
}
