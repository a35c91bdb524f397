package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway/wire"
)

// anonymousID is the subject of every caller while nothing is configured that
// could tell them apart.
const anonymousID = "anonymous"

// authenticator finds out who calls.
type authenticator struct {
	tokens       *tokenFile   // nil: no static tokens
	jwt          *jwtVerifier // nil: no JWTs
	certificates bool
	anonymous    bool // nothing is configured: everybody may call
}

func newAuthenticator(cfg *Config, log *slog.Logger) (*authenticator, error) {
	a := &authenticator{
		certificates: cfg.HTTP.TLS.ClientCAFile != "",
		anonymous:    !cfg.Authenticated(),
	}
	if cfg.Auth.JWT.JWKSURL != "" {
		a.jwt = newJWTVerifier(cfg.Auth.JWT)
	}
	if cfg.Auth.TokensFile != "" {
		tokens, err := openTokenFile(cfg.Auth.TokensFile, log)
		if err != nil {
			return nil, err
		}
		a.tokens = tokens
	}
	return a, nil
}

// run keeps the tokens as the file has them until ctx ends.
func (a *authenticator) run(ctx context.Context) error {
	if a.tokens == nil {
		<-ctx.Done()
		return nil
	}
	return a.tokens.follow(ctx)
}

// subject answers who made a request, or an unauthenticated problem.
func (a *authenticator) subject(r *http.Request) (lock.Subject, error) {
	if a.anonymous {
		return lock.Subject{ID: anonymousID, Kind: lock.Anonymous, Name: anonymousID}, nil
	}
	if header := r.Header.Get("Authorization"); header != "" {
		return a.credential(r, header)
	}
	if a.certificates && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return certificateSubject(r.TLS.PeerCertificates[0])
	}
	return lock.Subject{}, unauthenticated("send a token in the header Authorization")
}

// credential judges an Authorization header. Basic carries a static token as
// its password, because Terraform's http backend can do no other.
func (a *authenticator) credential(r *http.Request, header string) (lock.Subject, error) {
	scheme, secret, _ := strings.Cut(header, " ")
	bearer := strings.EqualFold(scheme, "Bearer")
	if !bearer {
		_, password, ok := r.BasicAuth()
		if !ok {
			return lock.Subject{}, unauthenticated("the header Authorization is neither Bearer nor Basic")
		}
		secret = password
	}
	secret = strings.TrimSpace(secret)
	if a.tokens != nil {
		if s, ok := a.tokens.subject(secret); ok {
			return s, nil
		}
	}
	if bearer && a.jwt != nil && strings.Count(secret, ".") == 2 {
		return a.jwt.subject(r.Context(), secret)
	}
	return lock.Subject{}, unauthenticated("the token is not known")
}

func unauthenticated(detail string) error {
	return &problemError{code: wire.CodeUnauthenticated, detail: detail}
}

// admit is the middleware of every route that is not public: it finds out who
// calls and for whom, and bounds how often.
func (s *Server) admit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		subject, err := s.authenticate(r, c.RealIP())
		if err != nil {
			return err
		}
		k := callFrom(r.Context())
		k.caller = lock.Caller{
			Subject:   subject,
			Actor:     lock.Actor{ID: subject.ID, Teams: subject.Teams},
			Source:    source(r),
			IP:        c.RealIP(),
			RequestID: k.id,
		}
		if err := s.limit(&k.caller); err != nil {
			return err
		}
		if header := r.Header.Values(wire.HeaderOnBehalfOf); len(header) > 0 {
			if err := delegate(&k.caller, header); err != nil {
				return err
			}
		}
		return next(c)
	}
}

// authenticate finds out who calls. An address that was refused too often must
// wait before another credential of its is looked at.
func (s *Server) authenticate(r *http.Request, address string) (lock.Subject, error) {
	if err := s.addressed(r.Host); err != nil {
		return lock.Subject{}, err
	}
	if s.auth.anonymous {
		return s.auth.subject(r)
	}
	from := network(address)
	if err := s.refusals.exhausted(from); err != nil {
		return lock.Subject{}, err
	}
	subject, err := s.auth.subject(r)
	if own, ok := errors.AsType[*problemError](err); ok && own.code == wire.CodeUnauthenticated {
		s.refusals.spend(from)
	}
	return subject, err
}

// network is what one client can be told apart by: its IPv4 address, or the /64
// that it may choose its IPv6 addresses from.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Unmap().Is4() {
		return address
	}
	prefix, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}

// limit leaves anonymous callers on loopback alone; strangers share one bucket
// an address.
func (s *Server) limit(caller *lock.Caller) error {
	if s.limits == nil {
		return nil
	}
	if caller.Subject.Kind != lock.Anonymous {
		return s.limits.allow(caller.Subject.ID)
	}
	if ip, err := netip.ParseAddr(caller.IP); err == nil && ip.Unmap().IsLoopback() {
		return nil
	}
	return s.limits.allow(net.JoinHostPort(caller.IP, anonymousID))
}

func source(r *http.Request) lock.Source {
	if strings.HasPrefix(r.UserAgent(), "lockctl/") {
		return lock.FromCLI
	}
	return lock.FromAPI
}
