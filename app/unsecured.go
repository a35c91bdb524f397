package app

// Unsecured says what the configuration leaves open, one sentence each with the
// key that closes it.
func (c *Config) Unsecured() []string {
	var open []string
	door := c.door()
	if !door.Authenticated() {
		open = append(open, "callers are anonymous: who reaches the address can take, read and break every lock (set auth.tokens_file, auth.jwt or http.tls.client_ca_file)")
	}
	if c.HTTP.TLS.CertFile == "" {
		open = append(open, "traffic is not encrypted (set http.tls.cert_file and http.tls.key_file)")
	}
	if c.Policy.Dir == "" {
		open = append(open, "policy profile open grants everything within limits (set policy.dir)")
	}
	return open
}
