package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/gateway"
)

func newHealth() *cobra.Command {
	c := addConfigFlags(&cobra.Command{
		Use:   "health",
		Short: "Probe a running gateway, for containers",
		Long: "Asks a gateway on this machine whether calls may be sent to it, and prints how its parts are.\n" +
			"The address is that of the configuration. Exits with 0 when it is ready, else with 1.",
		Example: "  gateway health\n  gateway health --url http://127.0.0.1:7480 --timeout 2s",
		Args:    cobra.NoArgs,
		RunE:    probe,
	})
	c.Flags().String("url", "", "base URL of the gateway (default: from http.listen)")
	c.Flags().Duration("timeout", 5*time.Second, "time for the answer")
	return c
}

func probe(c *cobra.Command, _ []string) error {
	loaded, err := loadConfig(c)
	if err != nil {
		return err
	}
	base, err := c.Flags().GetString("url")
	if err != nil {
		return err
	}
	timeout, err := c.Flags().GetDuration("timeout")
	if err != nil {
		return err
	}
	if base == "" {
		if base, err = localURL(&loaded.Config.HTTP); err != nil {
			return err
		}
	}
	client, err := probeClient(&loaded.Config.HTTP.TLS)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), timeout)
	defer cancel()
	return ask(ctx, client, strings.TrimRight(base, "/")+"/readyz?verbose", c.OutOrStdout())
}

func ask(ctx context.Context, client *http.Client, url string, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no gateway answers: %w", err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(w, io.LimitReader(res.Body, 64<<10)); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway is not ready: %s", res.Status)
	}
	return nil
}

// localURL is where a gateway with these settings is reached on its machine.
func localURL(cfg *gateway.HTTPConfig) (string, error) {
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return "", err
	}
	if port == "0" {
		return "", errors.New("http.listen has port 0, so the address of the running gateway is not known: name it with --url")
	}
	if ip, err := netip.ParseAddr(host); host == "" || (err == nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	scheme := "http://"
	if cfg.TLS.CertFile != "" {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, port), nil
}

// probeClient trusts the gateway's own certificate whatever name it is for: it
// was read from the same machine.
func probeClient(cfg *gateway.TLSConfig) (*http.Client, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	if cfg.CertFile == "" {
		return &http.Client{Transport: transport}, nil
	}
	chain, err := os.ReadFile(cfg.CertFile)
	if err != nil {
		return nil, fmt.Errorf("http.tls.cert_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(chain) {
		return nil, fmt.Errorf("http.tls.cert_file: %s holds no certificate", cfg.CertFile)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, ServerName: certificateName(chain), MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: transport}, nil
}

// certificateName is a name that the first certificate of a chain is for.
func certificateName(chain []byte) string {
	block, _ := pem.Decode(chain)
	if block == nil {
		return ""
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return ""
	case len(certificate.DNSNames) > 0:
		return strings.Replace(certificate.DNSNames[0], "*", "gateway", 1)
	case len(certificate.IPAddresses) > 0:
		return certificate.IPAddresses[0].String()
	}
	return ""
}
