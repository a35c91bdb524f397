package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
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
// port in $PORT, private.pem and public.pem, and commands of ours:
//
//	ready URL           waits until a gateway is ready there
//	line FILE TEXT      waits until a file holds a text
//	acquire FILE NAME   asks the gateway at $LOCKGATE_URL for a lock; NAME becomes a
//	                    variable with the decision's id
//	denied explain …    is `gateway policy explain $denied …`
//	keep FILE           writes the decision log of that gateway to a file
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			port, err := freePort(t.Context())
			e.Setenv("PORT", port)
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else every gateway takes a second to exit under -race
			return errors.Join(err, writeKeys(e.WorkDir))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": waitReady,
			"line":  waitLine,

			"acquire": acquire,
			"denied":  explainDenied,
			"keep":    keepLog,
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

// writeKeys puts a pair of keys into a folder.
func writeKeys(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "private.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
		os.WriteFile(filepath.Join(dir, "public.pem"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600),
	)
}

func acquire(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: acquire FILE NAME")
	}
	res, err := http.Post(ts.Getenv("LOCKGATE_URL")+"/v1/locks", "application/json", strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	defer res.Body.Close()
	var answer struct {
		ID       string              `json:"decision_id"`
		Decision struct{ ID string } `json:"decision"`
	}
	ts.Check(json.NewDecoder(res.Body).Decode(&answer))
	ts.Setenv(args[1], answer.ID+answer.Decision.ID)
}

func explainDenied(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 || args[0] != "explain" {
		ts.Fatalf("usage: denied explain FLAG...")
	}
	ts.Check(ts.Exec("gateway", append([]string{"policy", "explain", ts.Getenv("denied")}, args[1:]...)...))
}

func keepLog(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: keep FILE")
	}
	res, err := http.Get(ts.Getenv("LOCKGATE_URL") + "/v1/decisions")
	ts.Check(err)
	defer res.Body.Close()
	var page struct{ Items []json.RawMessage }
	ts.Check(json.NewDecoder(res.Body).Decode(&page))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), bytes.Join(toBytes(page.Items), []byte("\n")), 0o600))
}

func toBytes(list []json.RawMessage) [][]byte {
	out := make([][]byte, len(list))
	for i := range list {
		out[i] = list[i]
	}
	return out
}
