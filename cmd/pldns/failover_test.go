package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/admin"
	"pldns/resolver/resolvertest"
)

// site is one of the places at which a service can be reached: an HTTPS server
// that can be closed, opened again, and changed.
type site struct {
	addr        string // host:port
	certificate atomic.Pointer[tls.Certificate]
	status      atomic.Int32
	server      *http.Server
	ended       chan struct{}
}

// open begins to serve. Closing begins with the connections that are open.
func (s *site) open() error {
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	s.addr = listener.Addr().String()
	s.server = &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(s.status.Load())) }),
		ErrorLog:  log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.certificate.Load(), nil }},
	}
	s.ended = make(chan struct{})
	go func(server *http.Server, ended chan struct{}) {
		defer close(ended)
		_ = server.ServeTLS(listener, "", "") // until it is closed
	}(s.server, s.ended)
	return nil
}

func (s *site) close() {
	s.server.Close()
	<-s.ended
}

// twoSites opens a service at two addresses with one port.
func twoSites(t *testing.T, certificate tls.Certificate) (near, far *site, port string) {
	t.Helper()
	for range 100 {
		near, far = &site{addr: "127.0.0.81:0"}, new(site)
		if err := near.open(); err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(near.addr)
		far.addr = "127.0.0.82:" + port
		if far.open() == nil {
			break
		}
		near.close()
		far = nil
	}
	if far == nil {
		t.Fatal("no port is free at both addresses")
	}
	for _, s := range []*site{near, far} {
		s.certificate.Store(&certificate)
		s.status.Store(http.StatusForbidden) // as a storage account says to strangers
		t.Cleanup(s.close)
	}
	return near, far, port
}

// failover is the configuration of three networks that reach a service at two
// addresses: europe at the near one first, australia at the far one, and strict at
// the far one only.
func failover(probe, head string) string {
	endpoint := func(network, client, addresses, probe string) string {
		return fmt.Sprintf("[networks.%s]\nclients = [\"%s/32\"]\n[networks.%[1]s.endpoints]\n\"contoso.blob.core.windows.net\" = { addresses = [%[3]s], probe = %[4]q }\n",
			network, client, addresses, probe)
	}
	return "[listen]\ndns = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n" + withToken + head +
		endpoint("europe", europe, `"127.0.0.81", "127.0.0.82"`, probe) +
		endpoint("australia", australia, `"127.0.0.82", "127.0.0.81"`, probe) +
		endpoint("strict", strict, `"127.0.0.82"`, probe)
}

// gets waits until a client gets an address, and gives the TTL and what is said.
func (r *running) gets(client, address string) (ttl uint32, said string) {
	r.tb.Helper()
	resolvertest.Until(r.tb, client+" gets "+address, func() bool {
		reply := r.ask("udp", client, "contoso.blob.core.windows.net", dns.TypeA)
		said = says(reply)
		if len(reply.Answer) != 2 || !strings.HasSuffix(said, " | A "+address) {
			return false
		}
		ttl = reply.Answer[1].Header().Ttl
		return true
	}, &said)
	return ttl, said
}

const nearby, faraway = "127.0.0.81", "127.0.0.82"

// When what a probe looks for goes, the network that is answered with that address
// gets the other one, and nobody else notices; it gets the first one back when it is
// well again. When nothing is left, it gets the first one, and is told.
func TestFailover(t *testing.T) {
	t.Parallel()
	authority := resolvertest.NewAuthority(t)
	good := authority.Certificate(t, "contoso.blob.core.windows.net")
	wrong := authority.Certificate(t, "fabrikam.blob.core.windows.net")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, ca, "CERTIFICATE", authority.Root())
	closing := func(s *site) func() { return s.close }
	opening := func(s *site) func() {
		return func() {
			if err := s.open(); err != nil {
				t.Error(err)
			}
		}
	}
	for _, test := range []struct {
		probe  string
		breaks func(*site) func()
		mends  func(*site) func()
		says   string
	}{
		{"tcp:%s", closing, opening, "refused"},
		{"tls:%s", closing, opening, "refused"},
		{"tls:%s", func(s *site) func() { return func() { s.certificate.Store(&wrong) } }, func(s *site) func() { return func() { s.certificate.Store(&good) } }, "certificate is valid for fabrikam"},
		{"https:%s/", closing, opening, "refused"},
		{"https:%s/healthz", func(s *site) func() { return func() { s.status.Store(http.StatusServiceUnavailable) } }, func(s *site) func() { return func() { s.status.Store(http.StatusOK) } }, "GET /healthz is answered with status 503"},
	} {
		t.Run(test.probe, func(t *testing.T) {
			near, far, port := twoSites(t, good)
			toml := failover(fmt.Sprintf(test.probe, port), fmt.Sprintf("[probe]\ninterval = \"100ms\"\ntimeout = \"30s\"\nca = %q\n", ca))
			r := start(t, toml)
			for _, client := range []string{europe, australia, strict} {
				if ttl, _ := r.gets(client, map[bool]string{true: nearby, false: faraway}[client == europe]); ttl != 10 {
					t.Errorf("before: the TTL of %s is %d", client, ttl)
				}
			}
			test.breaks(near)()
			if ttl, said := r.gets(europe, faraway); ttl != 5 || strings.Contains(said, "EDE") {
				t.Errorf("near is gone: %s with TTL %d", said, ttl)
			}
			for _, client := range []string{australia, strict} {
				r.gets(client, faraway)
			}
			if got := r.fault(nearby); !strings.Contains(got, test.says) {
				t.Errorf("the fault of the near one is %q", got)
			}
			if explained := r.get("/api/explain?name=contoso.blob.core.windows.net&client=" + europe); !strings.Contains(explained, "127.0.0.81 is not healthy: probe "+fmt.Sprintf(test.probe, port)) {
				t.Errorf("the explanation does not say so: %s", explained)
			}
			r.rewrite(toml + "# changed\n") // what is known outlives a reload
			if code := r.reload(); code != http.StatusOK {
				t.Fatalf("reload: %d", code)
			}
			if said := says(r.ask("udp", europe, "contoso.blob.core.windows.net", dns.TypeA)); !strings.HasSuffix(said, faraway) {
				t.Errorf("after a reload: %s", said)
			}
			test.breaks(far)()
			ttl, said := r.gets(europe, nearby)
			if _, others := r.gets(australia, faraway); ttl != 5 || !strings.Contains(said, "EDE 0") || !strings.Contains(others, "EDE 0") {
				t.Errorf("nothing is left: %s with TTL %d, and %s", said, ttl, others)
			}
			test.mends(near)()
			r.gets(australia, nearby)
			test.mends(far)()
			r.gets(australia, faraway)
			if ttl, said := r.gets(europe, nearby); ttl != 10 || strings.Contains(said, "EDE") {
				t.Errorf("all is well again: %s with TTL %d", said, ttl)
			}
		})
	}
}

// fault is what is wrong with an address, as the admin server says.
func (r *running) fault(address string) string {
	r.tb.Helper()
	var part admin.Endpoints
	if err := json.Unmarshal([]byte(r.get("/api/endpoints")), &part); err != nil {
		r.tb.Fatal(err)
	}
	for _, e := range part.Endpoints {
		for _, a := range e.Addresses {
			if a.Address == address {
				return a.Fault
			}
		}
	}
	return ""
}
