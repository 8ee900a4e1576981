package certificates_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-acme/lego/v5/acme"
	"github.com/go-acme/lego/v5/certcrypto"
	"github.com/go-acme/lego/v5/certificate"
	"github.com/go-acme/lego/v5/challenge/dns01"
	"github.com/go-acme/lego/v5/lego"
	"github.com/go-acme/lego/v5/registration"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// zone is the public DNS of a test: the records that prove who has a name stand in a zone of
// their own, to which the name refers, as the recipe has it.
type zone struct {
	addr string
	mu   sync.Mutex
	text map[string][]string // a name and its wildcard are proven at one name
}

const delegated = "acme.contoso.net."

func newZone(t *testing.T) *zone {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{addr: listener.Addr().String(), text: make(map[string][]string)}
	server := &dns.Server{Listener: listener, Handler: z}
	ended := make(chan error, 1)
	go func() { ended <- server.ActivateAndServe() }()
	t.Cleanup(func() { listener.Close(); <-ended })
	return z
}

// ServeDNS implements [dns.Handler].
func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	reply := new(dns.Msg).SetReply(q)
	name := strings.ToLower(q.Question[0].Name)
	head := func(name string, kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 1}
	}
	if label, rest, _ := strings.Cut(name, "."); label == "_acme-challenge" {
		first, _, _ := strings.Cut(rest, ".")
		alias := &dns.CNAME{Hdr: head(name, dns.TypeCNAME), Target: first + "." + delegated}
		reply.Answer, name = append(reply.Answer, alias), alias.Target
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, text := range z.text[name] {
		if q.Question[0].Qtype == dns.TypeTXT {
			reply.Answer = append(reply.Answer, &dns.TXT{Hdr: head(name, dns.TypeTXT), Txt: []string{text}})
		}
	}
	_ = w.WriteMsg(reply)
}

// Present implements challenge.Provider, in the place of that for Azure DNS.
func (z *zone) Present(ctx context.Context, domain, _, keyAuth string) error {
	info := dns01.GetChallengeInfo(ctx, domain, keyAuth)
	z.mu.Lock()
	defer z.mu.Unlock()
	z.text[info.EffectiveFQDN] = append(z.text[info.EffectiveFQDN], info.Value)
	return nil
}

// CleanUp implements challenge.Provider.
func (z *zone) CleanUp(ctx context.Context, domain, _, keyAuth string) error {
	info := dns01.GetChallengeInfo(ctx, domain, keyAuth)
	z.mu.Lock()
	defer z.mu.Unlock()
	z.text[info.EffectiveFQDN] = slices.DeleteFunc(z.text[info.EffectiveFQDN], func(text string) bool { return text == info.Value })
	return nil
}

// issuer is an authority that speaks ACME, and a client of it that has an account.
type issuer struct {
	roots  *x509.CertPool
	client *lego.Client
}

// account implements [registration.User].
type account struct {
	key      crypto.Signer
	resource *acme.ExtendedAccount
}

func (account) GetEmail() string                         { return "dns@contoso.net" }
func (a account) GetRegistration() *acme.ExtendedAccount { return a.resource }
func (a account) GetPrivateKey() crypto.Signer           { return a.key }

func newIssuer(t *testing.T) issuer {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	z, logs := newZone(t), log.New(t.Output(), "authority: ", 0)
	dns01.SetDefaultClient(dns01.NewClient(&dns01.Options{RecursiveNameservers: []string{z.addr}, Timeout: 20 * time.Second, TCPOnly: true}))
	store := db.NewMemoryStore()
	profiles := map[string]ca.Profile{"default": {Description: "as usual", ValidityPeriod: 90 * 24 * 3600}}
	authority := ca.New(logs, store, "", "ecdsa", 0, 1, profiles)
	front := wfe.New(logs, store, va.New(logs, 0, 0, true, z.addr, store), authority, []string{"authority.example"}, true, false, 1, 1)
	server := httptest.NewTLSServer(front.Handler())
	t.Cleanup(server.Close)

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	user := account{key: key}
	config := lego.NewConfig(&user)
	config.CADirURL, config.HTTPClient = server.URL+wfe.DirectoryPath, server.Client()
	i := issuer{roots: x509.NewCertPool()}
	if !i.roots.AppendCertsFromPEM(authority.GetRootCert(0).PEM()) {
		t.Fatal("the authority has no certificate")
	}
	if i.client, err = lego.NewClient(config); err != nil {
		t.Fatal(err)
	}
	if err := i.client.Challenge.SetDNS01Provider(z, dns01.PropagationWait(0, true)); err != nil {
		t.Fatal(err)
	}
	if user.resource, err = i.client.Registration.Register(t.Context(), registration.RegisterOptions{TermsOfServiceAgreed: true}); err != nil {
		t.Fatal(err)
	}
	return i
}

// obtained is a certificate in the files that lego makes.
type obtained struct {
	cert, key string
	leaf      []byte
}

// obtain has a certificate issued by DNS-01.
func (i issuer) obtain(t *testing.T, names ...string) obtained {
	t.Helper()
	made, err := i.client.Certificate.Obtain(t.Context(), certificate.ObtainRequest{Domains: names, KeyType: certcrypto.EC256, Bundle: true})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o := obtained{cert: filepath.Join(dir, "default.crt"), key: filepath.Join(dir, "default.key")}
	for file, text := range map[string][]byte{o.cert: made.Certificate, o.key: made.PrivateKey} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	block, _ := pem.Decode(made.Certificate)
	o.leaf = block.Bytes
	return o
}

// TestRenewalByACME: a certificate that is obtained and renewed by DNS-01 is shown over TLS and
// QUIC soon after the script has put it there, without a query that is lost. One whose key is
// that of another is not put there; written by somebody else, it is not shown.
func TestRenewalByACME(t *testing.T) {
	needs(t, "openssl", "flock")
	authority, folder := newIssuer(t), filepath.Join(t.TempDir(), "certificates")
	place := func(o obtained) (string, bool) { return script(t, folder, "place", nil, "default", o.cert, o.key) }
	first := authority.obtain(t, "dns.contoso.net")
	if said, ok := place(first); !ok || !strings.Contains(said, "/default: notAfter=") {
		t.Fatalf("the first: %s", said)
	}
	server := serve(t, folder, "dns.contoso.net", authority.roots)
	if !server.shows(t, first.leaf) {
		t.Fatal("the first certificate is not shown")
	}
	stop := server.busy(t)

	second := authority.obtain(t, "dns.contoso.net", "*.dns.contoso.net")
	if said, ok := place(second); !ok {
		t.Fatalf("the renewal: %s", said)
	}
	until(t, "the renewed certificate", func() bool { return server.shows(t, second.leaf) })
	before := target(t, folder)
	if said, ok := place(second); !ok || said != "" || target(t, folder) != before {
		t.Errorf("what is there already: %s", said)
	}

	third := authority.obtain(t, "dns.contoso.net")
	if said, ok := place(obtained{cert: third.cert, key: second.key}); ok || !strings.Contains(said, "is not the key of") || target(t, folder) != before {
		t.Errorf("a renewal with the key of another: %s", said)
	}
	text, err := os.ReadFile(third.cert)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "default", "tls.crt"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "a word of what does not match", func() bool { return server.reloadFails(t, "private key does not match public key") })
	if !server.shows(t, second.leaf) {
		t.Error("the certificate before does not go on")
	}
	if said, ok := place(third); !ok {
		t.Fatalf("the repaired renewal: %s", said)
	}
	until(t, "the repaired renewal", func() bool { return server.shows(t, third.leaf) })
	if answered := stop(); answered < 10 {
		t.Errorf("only %d queries were asked meanwhile", answered)
	} else {
		t.Logf("%d queries meanwhile, each on a connection of its own", answered)
	}
	if strings.Contains(server.get(t, "/readyz"), "does not match") {
		t.Error("the fault is still told of")
	}
}

// target is what the name of the certificate leads to.
func target(t *testing.T, folder string) string {
	t.Helper()
	to, err := os.Readlink(filepath.Join(folder, "default"))
	if err != nil {
		t.Fatal(err)
	}
	return to
}
