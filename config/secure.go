package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"strings"
)

// listenSecure takes the addresses for DNS over TLS and over HTTPS.
func (l *loader) listenSecure(t table) {
	l.config.Listen.DoT = l.listenStreams(t, "dot", ":853", portTLS)
	l.config.Listen.DoH = l.listenStreams(t, "doh", ":443", portHTTPS)
}

// listenStreams takes the addresses of a key that are opened over TCP.
func (l *loader) listenStreams(t table, key, example string, usual uint16) (list []netip.AddrPort) {
	if !t.has(key) {
		return nil
	}
	entries, ok := t.texts(key, example)
	l.listenKnown = l.listenKnown && ok
	for _, e := range entries {
		socket, f := parseSocket(e.text, usual)
		for _, other := range append(l.config.Listen.All(), list...) {
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

// secure reads the certificate that the secure listeners show, and the authority
// of the certificates that they ask for. The files are read here, so that what
// cannot be served does not load.
func (l *loader) secure(root table, files files) {
	listen, _ := root.sub("listen")
	needed := listen.has("dot") || listen.has("doh")
	t, given := root.sub("tls")
	switch {
	case !given && needed:
		for _, key := range []string{"dot", "doh"} {
			if listen.has(key) {
				l.rep.add(listen.place(key), &fault{"needs a certificate", `add [tls] with cert = "tls.crt" and key = "tls.key"`})
			}
		}
		return
	case !given:
		return
	case !needed:
		l.rep.add(t.here(), &fault{"nothing uses the certificate", `add listen.dot = [":853"] or listen.doh = [":443"], or remove it`})
	}
	t.only("cert", "key", "client_ca")
	s := &l.config.TLS
	cert, certOK := l.pem(t, "cert", "tls.crt", &s.Cert, files)
	key, keyOK := l.pem(t, "key", "tls.key", &s.Key, files)
	for _, name := range []string{"cert", "key"} {
		if !t.has(name) {
			l.rep.add(t.here(), faultf(fmt.Sprintf("add %s = %q", name, "tls."+name), "has no %s", name))
		}
	}
	if certOK && keyOK {
		var err error
		if s.Certificate, err = tls.X509KeyPair(cert, key); err != nil {
			l.rep.add(t.place("cert"), faultf("write the PEM files of one certificate, with those "+
				"between it and its authority, and of its key",
				"%s", strings.TrimPrefix(err.Error(), "tls: ")))
		} else {
			l.warnOfExpiry(t.place("cert"), s.Certificate.Leaf)
		}
	}
	if ca, ok := l.pem(t, "client_ca", "clients.pem", &s.ClientCA, files); ok {
		s.ClientCAs = x509.NewCertPool()
		if !s.ClientCAs.AppendCertsFromPEM(ca) {
			l.rep.add(t.place("client_ca"), faultf("write the PEM file of the authority that signs the clients' certificates",
				"%q holds no certificate", s.ClientCA))
		}
	}
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
