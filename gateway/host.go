package gateway

import (
	"net"
	"net/netip"
	"strings"

	"github.com/lockgate/lockgate/gateway/wire"
)

// addressed refuses calls that a browser on this machine was tricked into: a
// web site can point its own name at 127.0.0.1 (DNS rebinding) and would reach a
// gateway that asks nobody who they are. Such a call names the site in Host.
func (s *Server) addressed(host string) error {
	if !s.auth.anonymous || !loopback(s.cfg.HTTP.Listen) || s.cfg.Auth.Insecure || local(host) {
		return nil
	}
	return &problemError{
		code: wire.CodeDenied,
		detail: "callers are anonymous here, so a call must be addressed to localhost or a loopback address; " +
			"set auth.tokens_file, auth.jwt or auth.insecure to serve other names",
	}
}

// local reports whether a Host header, with or without a port, is localhost or
// a loopback address.
func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}
