package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/lockgate/lockgate/core/lock"
)

const maxPEM = 1 << 20

// serverTLS answers nil for plain HTTP. A client without a certificate may
// still connect: probes do, and it can authenticate by token.
func serverTLS(cfg TLSConfig) (*tls.Config, error) {
	if cfg.CertFile == "" {
		return nil, nil //nolint:nilnil // no TLS is no fault
	}
	pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("http.tls: %w", err)
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if cfg.ClientCAFile == "" {
		return t, nil
	}
	pem, err := readBounded(cfg.ClientCAFile, maxPEM)
	if err != nil {
		return nil, fmt.Errorf("http.tls.client_ca_file: %w", err)
	}
	t.ClientCAs = x509.NewCertPool()
	if !t.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("http.tls.client_ca_file: " + cfg.ClientCAFile + " holds no PEM certificate")
	}
	t.ClientAuth = tls.VerifyClientCertIfGiven
	return t, nil
}

// certificateSubject takes the common name as the subject's id, or else the
// first URI, DNS name or mail address; organizational units are its teams.
func certificateSubject(cert *x509.Certificate) (lock.Subject, error) {
	id := cert.Subject.CommonName
	switch {
	case id != "":
	case len(cert.URIs) > 0:
		id = cert.URIs[0].String()
	case len(cert.DNSNames) > 0:
		id = cert.DNSNames[0]
	case len(cert.EmailAddresses) > 0:
		id = cert.EmailAddresses[0]
	}
	if problem := lock.Owner(id).Fault(); problem != "" {
		return lock.Subject{}, unauthenticated("the subject of the client certificate " + problem)
	}
	return lock.Subject{ID: id, Kind: lock.MTLS, Name: id, Teams: cert.Subject.OrganizationalUnit}, nil
}
