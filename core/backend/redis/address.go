package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// topology is how the servers of an address stand together.
type topology uint8

const (
	single topology = iota
	sentinel
	cluster
)

// address is a parsed URL of Redis.
type address struct {
	topology topology
	hosts    []string // host:port, at least one
	user     *url.Userinfo
	master   string // sentinel only
	db       int
	tls      bool
	query    url.Values
}

// parseAddress reads Config.URL. net/url knows one host a URL only, so the list
// of hosts is cut out first.
func parseAddress(text string) (*address, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil, errors.New("the URL of Redis has no scheme: use redis://host:port")
	}
	a := &address{tls: strings.HasPrefix(scheme, "rediss")}
	switch strings.Replace(scheme, "rediss", "redis", 1) {
	case "redis":
		a.topology = single
	case "redis+sentinel":
		a.topology = sentinel
	case "redis+cluster":
		a.topology = cluster
	default:
		return nil, fmt.Errorf("%q is no scheme of Redis: use redis, redis+sentinel or redis+cluster, with rediss for TLS", scheme)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndex(rest[:end], "@") + 1
	u, err := url.Parse("redis://" + rest[:at] + "host" + rest[end:])
	if err != nil {
		return nil, errors.New("the URL of Redis is not well-formed: escape special characters of the password as %XX")
	}
	a.user, a.query = u.User, u.Query()
	return a, errors.Join(a.readHosts(rest[at:end]), a.readPath(u.Path), a.checkQuery())
}

func (a *address) readHosts(list string) error {
	port := "6379"
	if a.topology == sentinel {
		port = "26379"
	}
	for host := range strings.SplitSeq(list, ",") {
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		if strings.HasPrefix(host, ":") {
			host = "localhost" + host
		}
		a.hosts = append(a.hosts, host)
	}
	if a.topology == single && len(a.hosts) > 1 {
		return errors.New("redis:// names one host: use redis+sentinel:// or redis+cluster:// for several")
	}
	return nil
}

func (a *address) readPath(path string) error {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	if a.topology == sentinel {
		if len(parts) == 0 {
			return errors.New("redis+sentinel:// names the master in its path: redis+sentinel://host:26379/mymaster")
		}
		a.master, parts = parts[0], parts[1:]
	}
	if len(parts) == 0 {
		return nil
	}
	db, err := strconv.Atoi(parts[0])
	if err != nil || db < 0 || len(parts) > 1 {
		return fmt.Errorf("%q is no database number of Redis", strings.Join(parts, "/"))
	}
	if a.topology == cluster && db != 0 {
		return errors.New("a cluster of Redis has database 0 only")
	}
	a.db = db
	return nil
}

func (a *address) checkQuery() error {
	var faults []error
	for name := range a.query {
		switch name {
		case "tls_ca", "tls_cert", "tls_key", "tls_server_name":
			if !a.tls {
				faults = append(faults, fmt.Errorf("%s is for rediss://", name))
			}
		case "sentinel_user", "sentinel_password":
			if a.topology != sentinel {
				faults = append(faults, fmt.Errorf("%s is for redis+sentinel://", name))
			}
		case "pool_size":
			if n, err := strconv.Atoi(a.query.Get(name)); err != nil || n < 1 {
				faults = append(faults, errors.New("pool_size must be a number above 0"))
			}
		default:
			faults = append(faults, fmt.Errorf("%q is no parameter of the URL of Redis", name))
		}
	}
	return errors.Join(faults...)
}

// connect makes the client; it dials when the first command is sent.
func (a *address) connect(timeout time.Duration) (goredis.UniversalClient, error) { //nolint:ireturn // the topology decides which client it is
	secure, err := a.tlsConfig()
	if err != nil {
		return nil, err
	}
	pool, err := strconv.Atoi(a.query.Get("pool_size"))
	if err != nil {
		pool = 10*runtime.GOMAXPROCS(0) + maxFollowed
	}
	o := &goredis.UniversalOptions{
		Addrs: a.hosts, DB: a.db, MasterName: a.master, ClientName: "lockgate", TLSConfig: secure,
		SentinelUsername: a.query.Get("sentinel_user"), SentinelPassword: a.query.Get("sentinel_password"),
		DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout, ContextTimeoutEnabled: true,
		DialerRetries: 1, PoolSize: pool, MaxRedirects: 8,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if a.user != nil {
		o.Username = a.user.Username()
		o.Password, _ = a.user.Password()
	}
	switch a.topology {
	case single:
		return goredis.NewClient(o.Simple()), nil
	case sentinel:
		return goredis.NewFailoverClient(o.Failover()), nil
	case cluster:
		return goredis.NewClusterClient(o.Cluster()), nil
	}
	return nil, errors.New("an address of Redis without topology")
}

func (a *address) tlsConfig() (*tls.Config, error) {
	if !a.tls {
		return nil, nil //nolint:nilnil // no TLS is an answer
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: a.query.Get("tls_server_name")}
	if c.ServerName == "" && len(a.hosts) == 1 {
		c.ServerName, _, _ = net.SplitHostPort(a.hosts[0])
	}
	if file := a.query.Get("tls_ca"); file != "" {
		pem, err := os.ReadFile(file) //nolint:gosec // the operator names it
		if err != nil {
			return nil, fmt.Errorf("tls_ca of Redis: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls_ca of Redis: %s has no certificate in PEM", file)
		}
	}
	if file := a.query.Get("tls_cert"); file != "" {
		pair, err := tls.LoadX509KeyPair(file, a.query.Get("tls_key"))
		if err != nil {
			return nil, fmt.Errorf("tls_cert and tls_key of Redis: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
