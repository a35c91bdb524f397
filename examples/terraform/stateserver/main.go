// Command stateserver keeps Terraform state in a folder, for the example beside
// it: GET, POST and DELETE on /{name}. It locks nothing and knows no users; a
// real set-up keeps state where it is kept today.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"time"
)

// maxState bounds one state file, in bytes.
const maxState = 64 << 20

func main() {
	listen := flag.String("listen", "127.0.0.1:7481", "address to serve on")
	folder := flag.String("dir", "examples/terraform/terraform-states", "folder of the state files")
	flag.Parse()
	if err := serve(*listen, *folder, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "stateserver:", err)
		os.Exit(1)
	}
}

func serve(listen, folder string, out io.Writer) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "serving the states in %s on http://%s\n", folder, listen); err != nil {
		return err
	}
	server := &http.Server{Addr: listen, Handler: handler(root), ReadHeaderTimeout: 10 * time.Second}
	return server.ListenAndServe()
}

func handler(root *os.Root) http.Handler {
	mux := http.NewServeMux()
	for method, do := range map[string]func(*os.Root, string, http.ResponseWriter, *http.Request) error{
		http.MethodGet: read, http.MethodPost: write, http.MethodDelete: remove,
	} {
		mux.HandleFunc(method+" /{name}", func(w http.ResponseWriter, r *http.Request) {
			name := r.PathValue("name")
			if !regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`).MatchString(name) {
				http.Error(w, "a state's name is made of a-z, 0-9, _ and -", http.StatusBadRequest)
				return
			}
			if err := do(root, name+".tfstate", w, r); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	return mux
}

func read(root *os.Root, file string, w http.ResponseWriter, _ *http.Request) error {
	state, err := root.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		w.WriteHeader(http.StatusNotFound)
		return nil
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = io.Copy(w, state)
	return errors.Join(err, state.Close())
}

// write replaces the state at once: a reader sees the old one or the new one.
func write(root *os.Root, file string, w http.ResponseWriter, r *http.Request) error {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxState))
	if err != nil {
		return err
	}
	if err := root.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return root.Rename(file+".new", file)
}

func remove(root *os.Root, file string, _ http.ResponseWriter, _ *http.Request) error {
	if err := root.Remove(file); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
