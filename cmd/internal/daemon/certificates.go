package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync/atomic"

	"pldns/config"
	"pldns/zones"
)

// certificates are what the secure listeners show and ask for, as it is at each handshake.
type certificates struct {
	current atomic.Pointer[keys]
}

// keys are those of one configuration.
type keys struct {
	config *tls.Config
	leaf   *x509.Certificate
	names  map[zones.Name]bool // the server names of networks
}

// newKeys are the keys of a configuration.
func newKeys(c *config.Config) *keys {
	next := &keys{leaf: c.TLS.Certificate.Leaf, names: make(map[zones.Name]bool), config: &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{c.TLS.Certificate},
	}}
	if c.TLS.ClientCAs != nil {
		next.config.ClientCAs, next.config.ClientAuth = c.TLS.ClientCAs, tls.VerifyClientCertIfGiven
	}
	for i := range c.Networks {
		for _, name := range c.Networks[i].ServerNames {
			next.names[name] = true
		}
	}
	return next
}

// settings are for listeners.
func (k *certificates) settings() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: k.choose}
}

// choose gives the keys of the moment. A client that asks for a server by a name
// that neither the certificate nor a network has is turned away: it means somebody
// else, and must not be taken for a client of whoever is known by its address.
func (k *certificates) choose(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	now := k.current.Load()
	if hello.ServerName != "" && now.leaf != nil && now.leaf.VerifyHostname(hello.ServerName) != nil {
		if name, err := zones.ParseName(hello.ServerName); err != nil || !now.names[name] {
			return nil, fmt.Errorf("no server has the name %q", hello.ServerName)
		}
	}
	return now.config, nil
}
