package main

import "syscall"

// attributes also asks for SIGTERM when lockctl itself is killed: nobody would
// renew the lock from then on.
func attributes(group bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: group, Pdeathsig: syscall.SIGTERM}
}
