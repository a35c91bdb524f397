//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/lockgate/lockgate/client"
)

// forwarded lists the signals that a command gets which runs under a lock.
func forwarded() []os.Signal {
	return []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}
}

// child is the command that runs under a lock.
type child struct {
	argv  []string
	path  string // of argv[0]
	env   []string
	grace time.Duration // from SIGTERM to SIGKILL

	cmd   *exec.Cmd
	ended chan struct{} // closed when the command has ended
	end   error         // what Wait answered by then
	// group: the command leads a process group of its own, and signals go to all of
	// it. On a terminal it must stay in the foreground group, where the terminal
	// itself sends it Ctrl-C: sent twice, that makes terraform give up its state.
	group bool
}

// run runs the command to its end and answers its exit code. When the lock is
// lost it ends the command and answers client.ErrLost.
func (c *child) run(lost <-chan struct{}, io *cli, signals <-chan os.Signal) (int, error) {
	// The kernel ties the death signal of the child to the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.group = !terminal(io.in)
	c.cmd = &exec.Cmd{Path: c.path, Args: c.argv, Env: c.env, Stdin: io.in, Stdout: io.out, Stderr: io.err, SysProcAttr: attributes(c.group)}
	if err := c.cmd.Start(); err != nil {
		return 0, fmt.Errorf("run %q: %w", c.argv[0], err)
	}
	c.ended = make(chan struct{})
	go func() {
		defer close(c.ended)
		c.end = c.cmd.Wait()
	}()
	for {
		select {
		case <-c.ended:
			return exitCode(c.end)
		case s := <-signals:
			c.forward(s)
		case <-lost:
			_, _ = fmt.Fprintf(io.err, "lockctl: %v: stopping the command\n", client.ErrLost)
			c.stop()
			return 0, client.ErrLost
		}
	}
}

// forward hands a signal on, unless the terminal does.
func (c *child) forward(s os.Signal) {
	if !c.group && (s == os.Interrupt || s == syscall.SIGQUIT) {
		return
	}
	if number, ok := s.(syscall.Signal); ok {
		c.signal(number)
	}
}

// stop ends the command, and with it its process group, gently and then not.
func (c *child) stop() {
	c.signal(syscall.SIGTERM)
	t := time.NewTimer(c.grace)
	defer t.Stop()
	select {
	case <-c.ended:
		c.signal(syscall.SIGKILL) // what it left behind in its group
	case <-t.C:
		c.signal(syscall.SIGKILL)
		<-c.ended
	}
}

// signal reaches the whole group where there is one. A process that is gone
// already needs none.
func (c *child) signal(s syscall.Signal) {
	if c.group {
		_ = syscall.Kill(-c.cmd.Process.Pid, s)
		return
	}
	_ = c.cmd.Process.Signal(s)
}

// exitCode reads the end of a command as a shell does: 128 and the signal's
// number when a signal ended it.
func exitCode(err error) (int, error) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0, err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}
