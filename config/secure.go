package config

import (
	"crypto/x509"
	"net/netip"
	"slices"
)

// listenSecure takes the addresses for DNS over TLS, over HTTPS and over QUIC.
func (l *loader) listenSecure(t table) {
	open := &l.config.Listen
	if t.has("h3") && !t.has("doh") {
		l.rep.add(t.place("h3"), &fault{"has no ports to be spoken at", `add listen.doh = [":443"], or remove it`})
	}
	open.H3 = t.boolean("h3", true) && t.has("doh")
	open.DoT = l.listenOn(t, "dot", ":853", portTLS, open.DNS)
	open.DoH = l.listenOn(t, "doh", ":443", portHTTPS, slices.Concat(open.DNS, open.DoT))
	taken := open.DNS // over UDP, where QUIC is, too
	if open.H3 {
		taken = slices.Concat(open.DNS, open.DoH)
	}
	open.DoQ = l.listenOn(t, "doq", ":853", portTLS, taken)
}

// listenOn takes the addresses of a key, which must not be taken.
func (l *loader) listenOn(t table, key, example string, usual uint16, taken []netip.AddrPort) (list []netip.AddrPort) {
	if !t.has(key) {
		return nil
	}
	entries, ok := t.texts(key, example)
	l.listenKnown = l.listenKnown && ok
	for _, e := range entries {
		socket, f := parseSocket(e.text, usual)
		for _, other := range slices.Concat(taken, list) {
			if f == nil && overlap(socket, other) {
				f = faultf("write another address or port", "%q is taken by %q, which listen opens too", e.text, other)
			}
		}
		if f != nil {
			l.rep.add(e.place, f)
			l.listenKnown = false
			continue
		}
		list = append(list, socket)
	}
	return list
}

// secure reads the certificates that the secure listeners show, and the authority
// of the certificates that they ask for. The files are read here, so that what
// cannot be served does not load.
func (l *loader) secure(root table, files files) {
	listen, _ := root.sub("listen")
	needed := listen.has("dot") || listen.has("doh") || listen.has("doq")
	t, given := root.sub("tls")
	switch {
	case !given && needed:
		for _, key := range []string{"dot", "doh", "doq"} {
			if listen.has(key) {
				l.rep.add(listen.place(key), &fault{"needs a certificate", `add [tls] with cert = "tls.crt" and key = "tls.key"`})
			}
		}
		return
	case !given:
		return
	case !needed:
		l.rep.add(t.here(), &fault{"nothing uses the certificate",
			`add listen.dot = [":853"], listen.doq = [":853"] or listen.doh = [":443"], or remove it`})
	}
	t.only("cert", "key", "client_ca", "certificates")
	l.certificates(t, files)
	s := &l.config.TLS
	s.ClientCAs = l.authorities(t, "client_ca", "clients.pem", "the clients' certificates", &s.ClientCA, files, x509.NewCertPool)
}

// authorities reads the certificates of those that sign others, in the file that a key names, and
// adds them to those that are trusted anyway. There are none where there is no such file.
func (l *loader) authorities(t table, key, example, signed string, path *string, files files, anyway func() *x509.CertPool) *x509.CertPool {
	data, ok := l.pem(t, key, example, path, files)
	if !ok {
		return nil
	}
	roots := anyway()
	if !roots.AppendCertsFromPEM(data) {
		l.rep.add(t.place(key), faultf("write the PEM file of the authority that signs "+signed, "%q holds no certificate", *path))
	}
	return roots
}

// systemRoots are the authorities that the system trusts.
func systemRoots() *x509.CertPool {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return x509.NewCertPool() // what is added may be all that is needed
	}
	return roots
}

// pem reads the file that a key names, relative to the main file.
func (l *loader) pem(t table, key, example string, path *string, files files) ([]byte, bool) {
	text, ok := t.text(key, example)
	if !ok {
		return nil, false
	}
	*path = files.path(text)
	data, err := files.readSmall(*path)
	if err != nil {
		l.rep.add(t.place(key), faultf("write the path of a file that this user can "+
			"read, relative to the directory of this one", "%s", err))
	}
	return data, err == nil
}

// trust reads who may speak for others.
func (l *loader) trust(root table) {
	t, _ := root.sub("trust")
	t.only("client_subnet", "proxy_protocol")
	l.config.Trust = Trust{
		ClientSubnet:  l.prefixes(t, "client_subnet", "10.20.0.4/32", trustsAll),
		ProxyProtocol: l.prefixes(t, "proxy_protocol", "10.20.0.4/32", trustsAll),
	}
}

// trustsAll refuses to trust everybody.
func trustsAll(prefix netip.Prefix, text string) *fault {
	if prefix.Bits() > 0 {
		return nil
	}
	return faultf("write the addresses of the servers that do so", "%q would let everybody say who asks", text)
}
