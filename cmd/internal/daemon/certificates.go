package daemon

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"pldns/config"
	"pldns/zones"
)

// certificates are what the secure listeners show and ask for, as it is at each handshake.
type certificates struct {
	current atomic.Pointer[keys]
}

// keys are those of one configuration.
type keys struct {
	config  *tls.Config
	secure  config.Secure
	names   map[zones.Name]bool // the server names of networks
	tickets *tickets
}

// newKeys are the keys of a configuration.
func newKeys(c *config.Config) *keys {
	next := &keys{secure: c.TLS, names: make(map[zones.Name]bool), tickets: newTickets(),
		config: &tls.Config{MinVersion: tls.VersionTLS12}}
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

// serve has the next handshakes be made with other keys. Sessions are resumed for as long as
// the certificates and the authorities of clients stay what they are: what a client showed is
// in its ticket, and counted under the authorities of that time.
func (k *certificates) serve(next *keys) {
	if before := k.current.Load(); before != nil && before.shows(next) {
		next.tickets = before.tickets
	}
	k.current.Store(next)
}

// shows tells whether both show the same and ask for the same.
func (k *keys) shows(other *keys) bool {
	mine, others := k.secure, other.secure
	return slices.EqualFunc(mine.Certificates, others.Certificates, config.Certificate.Shows) &&
		(mine.ClientCAs == nil) == (others.ClientCAs == nil) && (mine.ClientCAs == nil || mine.ClientCAs.Equal(others.ClientCAs))
}

// renew serves certificates that were read again for a reload that failed: a fault elsewhere, or
// in another certificate, must not leave one to expire whose renewal is in order. Server.reloading
// is held.
func (s *Server) renew(read []config.Certificate) {
	next := *s.now()
	secure, names := next.keys.secure.With(read)
	if len(names) == 0 {
		return
	}
	renewed := *next.keys
	renewed.secure, renewed.tickets = secure, newTickets()
	next.keys = &renewed
	s.current.Store(&next)
	s.certificates.serve(next.keys)
	s.log.Info("certificates are renewed, though the rest of the configuration is not reloaded", "certificates", names)
	s.recorder.Loaded(next.serving()) // whose ends it knows then; that the reload failed comes next
}

// settings are for listeners.
func (k *certificates) settings() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: k.choose}
}

// choose gives the keys of the moment. A client that asks for a server by a name
// that neither a certificate nor a network has is turned away: it means somebody
// else, and must not be taken for a client of whoever is known by its address.
func (k *certificates) choose(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	now := k.current.Load()
	candidates := now.secure.For(hello.ServerName)
	if len(candidates) == 0 {
		if name, err := zones.ParseName(hello.ServerName); err != nil || !now.names[name] {
			return nil, fmt.Errorf("no server has the name %q", hello.ServerName)
		}
		candidates = now.secure.For("")
	}
	chosen := now.config.Clone()
	chosen.Certificates = []tls.Certificate{pick(hello, candidates)}
	chosen.SetSessionTicketKeys(now.tickets.of(hello.ServerName, time.Now()))
	return chosen, nil
}

// resetSecret is what tells clients of QUIC after a restart that their connections are gone.
// It is made of the private key, which is there after it, and of the name of the host: those
// who share a certificate behind one address must not share it (see [listen.Config]). It is
// empty where there is no key. A new key of a certificate counts from the next start, for
// which nobody is told.
func resetSecret(secure config.Secure, host string) []byte {
	if len(secure.Certificates) == 0 {
		return nil
	}
	key, err := x509.MarshalPKCS8PrivateKey(secure.Certificates[0].Pair.PrivateKey)
	if err != nil {
		return nil // clients wait, as they do for a server that is gone
	}
	secret, err := hkdf.Key(sha256.New, key, nil, "pldns stateless reset of "+host, sha256.Size)
	if err != nil {
		return nil
	}
	return secret
}

// pick is the first certificate with a kind of key that a client takes; if there is none,
// the first, which the handshake then ends with.
func pick(hello *tls.ClientHelloInfo, candidates []*config.Certificate) tls.Certificate {
	if len(candidates) > 1 {
		unnamed := *hello // they are for its name, or there is none
		unnamed.ServerName = ""
		for _, candidate := range candidates {
			if unnamed.SupportsCertificate(&candidate.Pair) == nil {
				return candidate.Pair
			}
		}
	}
	return candidates[0].Pair
}

// ticketAge is for how long tickets of sessions are sealed with one key. They are taken for
// as long again.
const ticketAge = 24 * time.Hour

// tickets seal what clients resume their sessions with (RFC 8446 section 4.6.1).
type tickets struct {
	current atomic.Pointer[ticketSecrets]
}

// ticketSecrets are what the keys of tickets are made of, the newest first.
type ticketSecrets struct {
	made    time.Time
	secrets [][]byte
}

func newTickets() *tickets { return new(tickets) }

// of are the keys for a server name, the newest first. Each name has keys of its own: a
// session is not resumed under another (RFC 6066 section 3).
func (t *tickets) of(name string, now time.Time) [][32]byte {
	held := t.current.Load()
	if held == nil || now.Sub(held.made) > ticketAge {
		next := &ticketSecrets{made: now, secrets: [][]byte{make([]byte, sha256.Size)}}
		rand.Read(next.secrets[0])
		if held != nil && now.Sub(held.made) <= 2*ticketAge {
			next.secrets = append(next.secrets, held.secrets[0])
		}
		t.current.CompareAndSwap(held, next)
		held = t.current.Load()
	}
	keys := make([][32]byte, len(held.secrets))
	for i, secret := range held.secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(name))
		mac.Sum(keys[i][:0])
	}
	return keys
}
