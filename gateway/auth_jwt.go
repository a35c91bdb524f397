package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway/wire"
)

// jwksTimeout bounds one fetch of an issuer's keys.
const jwksTimeout = 5 * time.Second

// jwtVerifier accepts the JWTs of one issuer.
type jwtVerifier struct {
	cfg    JWTConfig
	client *http.Client
	keys   func(context.Context) oidc.KeySet
}

func newJWTVerifier(cfg JWTConfig) *jwtVerifier {
	v := &jwtVerifier{cfg: cfg, client: &http.Client{Timeout: jwksTimeout, Transport: &keyDoor{next: http.DefaultTransport}}}
	var (
		once sync.Once
		keys oidc.KeySet
	)
	// The key set fetches with the context it is made with for as long as it
	// lives, so it must not be cut off with the call that came first.
	v.keys = func(ctx context.Context) oidc.KeySet {
		once.Do(func() {
			keys = oidc.NewRemoteKeySet(oidc.ClientContext(context.WithoutCancel(ctx), v.client), cfg.JWKSURL)
		})
		return keys
	}
	return v
}

// checkedKeys remembers why a signature could not be checked, which the
// verifier's own error leaves out.
type checkedKeys struct {
	oidc.KeySet

	err error
}

// VerifySignature implements oidc.KeySet.
func (k *checkedKeys) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, jwt)
	k.err = err
	return payload, err
}

// subject answers who a JWT speaks for: an unauthenticated problem when it is
// not valid, unavailable when the issuer's keys cannot be fetched.
func (v *jwtVerifier) subject(ctx context.Context, token string) (lock.Subject, error) {
	keys := &checkedKeys{KeySet: v.keys(ctx)}
	verifier := oidc.NewVerifier(v.cfg.Issuer, keys, &oidc.Config{
		ClientID: v.cfg.Audience,
		SupportedSigningAlgs: []string{
			oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
		},
	})
	verified, err := verifier.Verify(ctx, token)
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(err, &expired):
		return lock.Subject{}, unauthenticated("the JWT has expired")
	case err != nil && keys.err != nil && strings.HasPrefix(keys.err.Error(), "fetching keys"):
		return lock.Subject{}, &problemError{
			code: wire.CodeUnavailable, detail: "the keys of the JWT issuer cannot be fetched", retryAfter: jwksTimeout,
		}
	case err != nil:
		return lock.Subject{}, unauthenticated("the JWT is not valid for this gateway: check its issuer, audience, time and signature")
	}
	var payload json.RawMessage
	if err := verified.Claims(&payload); err != nil {
		return lock.Subject{}, unauthenticated("the claims of the JWT are no JSON object")
	}
	return v.claimed(payload)
}

// claimed makes a subject of verified claims.
func (v *jwtVerifier) claimed(payload []byte) (lock.Subject, error) {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	var claims map[string]any
	if err := d.Decode(&claims); err != nil {
		return lock.Subject{}, unauthenticated("the claims of the JWT are no JSON object")
	}
	names := v.cfg.Claims
	id, _ := claim(claims, names.Subject).(string)
	if problem := lock.Owner(id).Fault(); problem != "" {
		return lock.Subject{}, unauthenticated("the claim " + names.Subject + " of the JWT " + problem)
	}
	name, _ := claim(claims, names.Name).(string)
	if name == "" {
		name = id
	}
	return lock.Subject{
		ID: id, Kind: lock.JWT, Name: name,
		Teams: words(claim(claims, names.Teams)), Roles: words(claim(claims, names.Roles)),
		Claims: claims,
	}, nil
}

// claim finds a claim by its name, or by a path of names with dots.
func claim(claims map[string]any, name string) any {
	if v, ok := claims[name]; ok {
		return v
	}
	first, rest, dotted := strings.Cut(name, ".")
	if inner, ok := claims[first].(map[string]any); ok && dotted {
		return claim(inner, rest)
	}
	return nil
}

// words reads a list of strings, or one string with spaces.
func words(v any) []string {
	switch v := v.(type) {
	case string:
		return strings.Fields(v)
	case []any:
		out := make([]string, 0, len(v))
		for _, item := range v {
			if s, ok := item.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}
