package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"gateway": func() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestScript runs testdata/script against real processes. Each script has a free
// port in $PORT and two commands of ours:
//
//	ready URL           waits until a gateway is ready there
//	line FILE TEXT      waits until a file holds a text
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			port, err := freePort(t.Context())
			e.Setenv("PORT", port)
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else every gateway takes a second to exit under -race
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": waitReady,
			"line":  waitLine,
		},
	})
}

func freePort(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// patience bounds what a script waits for.
const patience = 30 * time.Second

// poll calls done until it answers true.
func poll(ts *testscript.TestScript, what string, done func() bool) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			ts.Fatalf("%s: not within %s", what, patience)
		case <-tick.C:
		}
	}
}

func waitReady(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: ready URL")
	}
	poll(ts, args[0], func() bool {
		res, err := http.Get(args[0] + "/readyz")
		if err != nil {
			return false
		}
		return res.Body.Close() == nil && res.StatusCode == http.StatusOK
	})
}

func waitLine(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: line FILE TEXT")
	}
	poll(ts, fmt.Sprintf("%q in %s", args[1], args[0]), func() bool {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && strings.Contains(string(text), args[1])
	})
}
