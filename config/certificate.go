package config

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"pldns/zones"
)

// DefaultCertificate is what the certificate of the table tls itself is called, beside
// those of tls.certificates, which have the names of their tables.
const DefaultCertificate = "default"

// Secure is what the secure listeners show and ask for. The zero value says that
// there are none.
type Secure struct {
	// Certificates are shown by the listeners for TLS, HTTPS and QUIC: that of the table
	// tls first, then those of tls.certificates by name. See [Secure.For].
	Certificates []Certificate
	ClientCA     string // the file that ClientCAs is from; empty for none
	// ClientCAs sign the certificates of clients, which may show one then; nil asks
	// for none.
	ClientCAs *x509.CertPool

	// covered are the places in Certificates of those that are for a name, an address or a
	// wildcard, in lower case, the best first.
	covered map[string][]int
}

// Certificate is a certificate with its key.
type Certificate struct {
	Name      string // of its table, or [DefaultCertificate]
	Cert, Key string // the files that Pair is from
	Pair      tls.Certificate
	place     Place // of the key cert
}

// Leaf is the certificate without those between it and its authority.
func (c Certificate) Leaf() *x509.Certificate { return c.Pair.Leaf }

// Shows tells whether clients are shown the same by both.
func (c Certificate) Shows(other Certificate) bool {
	return c.Name == other.Name && slices.EqualFunc(c.Pair.Certificate, other.Pair.Certificate, bytes.Equal)
}

// patterns are what it is for: names, wildcards and addresses.
func (c Certificate) patterns() []string {
	all := make([]string, 0, len(c.Leaf().DNSNames)+len(c.Leaf().IPAddresses))
	for _, name := range c.Leaf().DNSNames {
		all = append(all, foldHost(name))
	}
	for _, ip := range c.Leaf().IPAddresses {
		all = append(all, ip.String())
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// foldHost is a name as it is compared with others.
func foldHost(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// newSecure makes certificates ready to be chosen from, the default one first.
func newSecure(certificates []Certificate) Secure {
	s := Secure{Certificates: certificates, covered: make(map[string][]int)}
	for i, c := range certificates {
		for _, pattern := range c.patterns() {
			s.covered[pattern] = append(s.covered[pattern], i)
		}
	}
	for _, places := range s.covered {
		slices.SortStableFunc(places, func(a, b int) int { return cmp.Compare(s.burden(a), s.burden(b)) })
	}
	return s
}

// burden orders certificates by what a signature takes: RSA comes last, so that it is for
// clients that take nothing else.
func (s Secure) burden(at int) int {
	if s.Certificates[at].Leaf().PublicKeyAlgorithm == x509.RSA {
		return 1
	}
	return 0
}

// Files are the files that were read.
func (s Secure) Files() []string {
	var all []string
	for _, c := range s.Certificates {
		all = append(all, c.Cert, c.Key)
	}
	if s.ClientCA != "" {
		all = append(all, s.ClientCA)
	}
	return all
}

// Again reads the files of the certificates again, and gives those that are in order.
func (s Secure) Again() (read []Certificate) {
	for _, c := range s.Certificates {
		cert, certErr := ReadFile(c.Cert, largestKeyFile)
		key, keyErr := ReadFile(c.Key, largestKeyFile)
		pair, err := tls.X509KeyPair(cert, key)
		if cmp.Or(certErr, keyErr, err) == nil {
			c.Pair = pair
			read = append(read, c)
		}
	}
	return read
}

// With are the certificates with what was read again of their files. The names are those of the
// certificates that are others then.
func (s Secure) With(read []Certificate) (_ Secure, names []string) {
	all := slices.Clone(s.Certificates)
	for i, c := range all {
		for _, now := range read {
			if now.Name == c.Name && now.Cert == c.Cert && now.Key == c.Key && !now.Shows(c) {
				all[i].Pair = now.Pair
				names = append(names, c.Name)
			}
		}
	}
	next := newSecure(all)
	next.ClientCA, next.ClientCAs = s.ClientCA, s.ClientCAs
	return next, names
}

// For are the certificates for a client that asks for a server by a name (RFC 6066 section
// 3), which is to be shown the first with a kind of key that it takes: those for the very
// name, then those for a wildcard in place of its first label (RFC 9525 section 6.3); of each
// those with RSA last, and then that of the table tls first. There are none if no certificate
// is for the name. A client that names no server, which the empty name stands for, gets that
// of the table tls, or one that shares its first name.
func (s Secure) For(name string) (list []*Certificate) {
	var found []int
	name = foldHost(name)
	label, rest, _ := strings.Cut(name, ".")
	switch addr, err := netip.ParseAddr(name); {
	case name == "":
		found = s.unnamed()
	case err == nil: // which no client should write there
		found = s.covered[addr.Unmap().String()]
	case label == "" || rest == "":
		found = s.covered[name]
	default:
		found = slices.Concat(s.covered[name], s.covered["*."+rest])
	}
	for _, at := range found {
		list = append(list, &s.Certificates[at])
	}
	return list
}

// unnamed are the certificates for clients that name no server.
func (s Secure) unnamed() []int {
	if len(s.Certificates) == 0 {
		return nil
	}
	found := []int{0}
	if names := s.Certificates[0].Leaf().DNSNames; len(names) > 0 {
		found = append(found, slices.DeleteFunc(slices.Clone(s.covered[foldHost(names[0])]), func(at int) bool { return at == 0 })...)
	}
	return found
}

// certificates reads the certificate of the table tls and those of tls.certificates.
func (l *loader) certificates(t table, files files) {
	var all []Certificate
	read := func(name string, from table) {
		if c, ok := l.certificate(name, from, files); ok {
			all = append(all, c)
		}
	}
	read(DefaultCertificate, t)
	if value, _ := t.get("certificates"); kindOf(value) == "a list of tables" {
		t.mismatch(t.place("certificates"), value, "write [tls.certificates.NAME] above the keys of each, with a name that "+
			"metrics and messages call it by", "a table")
		delete(t.values, "certificates")
	}
	more, _ := t.sub("certificates")
	l.labelled(more, "a certificate", func(name string, from table) {
		from.only("cert", "key")
		if name == DefaultCertificate {
			l.rep.add(from.here(), faultf("write its files as cert and key of [tls]", "%q is the certificate of [tls] itself", name))
			return
		}
		read(name, from)
	})
	l.config.TLS = newSecure(all)
	l.warnOfClaims()
}

// certificate reads a certificate and its key. What it is read from is part of the
// configuration even if it is not in order.
func (l *loader) certificate(name string, t table, files files) (c Certificate, ok bool) {
	c = Certificate{Name: name, place: t.place("cert")}
	cert, certOK := l.pem(t, "cert", "tls.crt", &c.Cert, files)
	key, keyOK := l.pem(t, "key", "tls.key", &c.Key, files)
	for _, name := range []string{"cert", "key"} {
		if !t.has(name) {
			l.rep.add(t.here(), faultf(fmt.Sprintf("add %s = %q", name, "tls."+name), "has no %s", name))
		}
	}
	if !certOK || !keyOK {
		return c, false
	}
	var err error
	if c.Pair, err = tls.X509KeyPair(cert, key); err != nil {
		l.rep.add(c.place, faultf("write the PEM files of one certificate, with those "+
			"between it and its authority, and of its key",
			"%s", strings.TrimPrefix(err.Error(), "tls: ")))
		return c, false
	}
	l.warnOfExpiry(c.place, c.Leaf())
	l.warnOfForm(c)
	return c, true
}

// warnOfForm reports a certificate that clients refuse for what is in it.
func (l *loader) warnOfForm(c Certificate) {
	if len(c.patterns()) == 0 {
		l.rep.warn(c.place, &fault{"the certificate is for no name and no address: clients refuse it, whatever its subject is called",
			"have one issued with the names of the server as subjectAltName"})
	}
	if mustStaple(c.Leaf()) {
		l.rep.warn(c.place, &fault{"the certificate demands a stapled OCSP response (must-staple), which this server does not send: " +
			"clients that heed it refuse it", "have one issued without it"})
	}
}

// mustStaple tells whether a certificate has the TLS feature status_request (RFC 7633).
func mustStaple(leaf *x509.Certificate) bool {
	const statusRequest = 5
	tlsFeature := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}
	for _, extension := range leaf.Extensions {
		var features []int
		if extension.Id.Equal(tlsFeature) {
			_, err := asn1.Unmarshal(extension.Value, &features)
			return err == nil && slices.Contains(features, statusRequest)
		}
	}
	return false
}

// warnOfClaims reports a certificate that is not shown for one of its names, because
// another with a key of the same kind is.
func (l *loader) warnOfClaims() {
	s := l.config.TLS
	told := make(map[[2]int]bool)
	for _, pattern := range slices.Sorted(maps.Keys(s.covered)) {
		if _, err := netip.ParseAddr(pattern); err == nil {
			continue // clients do not name it
		}
		first := make(map[x509.PublicKeyAlgorithm]int)
		for _, at := range s.covered[pattern] {
			c := s.Certificates[at]
			kind := c.Leaf().PublicKeyAlgorithm
			other, taken := first[kind]
			if !taken {
				first[kind] = at
			}
			if !taken || told[[2]int{other, at}] {
				continue
			}
			told[[2]int{other, at}] = true
			l.rep.warn(c.place, faultf("have one of them issued without that name, or with another kind of key",
				"%s is in the certificate %s, too, which is shown for it", pattern, s.Certificates[other].Name))
		}
	}
}

// warnOfUncovered reports names of a network that no certificate is for.
func (l *loader) warnOfUncovered() {
	s := l.config.TLS
	if len(s.Certificates) == 0 {
		return
	}
	for _, network := range slices.Sorted(maps.Keys(l.drafts)) {
		draft := l.drafts[network]
		for _, name := range draft.ServerNames {
			if len(s.For(name.String())) == 0 {
				at := draft.ingresses[zones.Ingress{Kind: zones.NameIngress, Name: name}]
				l.rep.warn(at, faultf("have one issued for it and write its files under [tls.certificates.NAME], or correct the name",
					"no certificate is for %s: clients that ask for it are shown the one of [tls], and refuse it if they check", name))
			}
		}
	}
}
