//go:build linux

package scenarios

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"pldns/deploy/scenarios/lab"
)

// resolverName is what clients know the resolver by, and resolverAddr where it is.
const (
	resolverName = "dns.contoso.net"
	resolverAddr = "10.0.0.4"
)

// encryptedConfig wants the certificate and its key.
const encryptedConfig = `
[listen]
dns = ["10.0.0.4:53"]
dot = ["10.0.0.4:853"]
doq = ["10.0.0.4:853"]
doh = ["10.0.0.4:443"]
[tls]
cert = %q
key = %q

[networks.europe]
clients = ["10.0.0.0/17"]
[networks.europe.endpoints]
"momenta-eun.database.windows.net" = "10.0.1.4"

[networks.australia]
clients = ["10.0.128.0/17"]
[networks.australia.endpoints]
"momenta-eun.database.windows.net" = "10.0.129.4"
`

// encrypted is a resolver that speaks everything, and a client of each of its networks
// with the endpoint that belongs to it.
type encrypted struct {
	*lab.Lab
	t         *testing.T
	authority *lab.Authority
	hub       *lab.Host
	resolver  *lab.Host
	clients   map[string]*lab.Host // by the address of their endpoint
}

func newEncrypted(t *testing.T, programs ...string) *encrypted {
	l := lab.New(t, programs...)
	e := &encrypted{Lab: l, t: t, authority: l.Authority(), resolver: l.Host("resolver"), clients: make(map[string]*lab.Host)}
	e.hub = l.Switch("hub", "10.0.0.1/16")
	e.hub.Plug(e.resolver, resolverAddr+"/16")
	certificate := e.authority.Issue("*.database.windows.net")
	for network, addresses := range map[string][2]string{"europe": {"10.0.0.7", "10.0.1.4"}, "australia": {"10.0.128.7", "10.0.129.4"}} {
		endpoint, user := l.Host("endpoint in "+network), l.Host("client in "+network)
		e.hub.Plug(endpoint, addresses[1]+"/16")
		e.hub.Plug(user, addresses[0]+"/16")
		endpoint.Site(addresses[1]+":1433", "endpoint "+addresses[1], certificate)
		e.clients[addresses[1]] = user
	}
	return e
}

// serve has the resolver serve with a certificate.
func (e *encrypted) serve(certificate lab.Certificate) *lab.Process {
	return e.resolver.Pldns(e.File("pldns.toml", fmt.Sprintf(encryptedConfig, certificate.Cert, certificate.Key)))
}

// deceive has the clients reach another server in the place of the resolver for what is
// encrypted. Its certificate is of the same authority, for the same address and another
// name.
func (e *encrypted) deceive() {
	const at = "10.0.0.66"
	other, certificate := e.Host("other server"), e.authority.Issue("other.contoso.net", resolverAddr)
	e.hub.Plug(other, at+"/16")
	for _, port := range []string{"443", "853"} {
		other.Site(at+":"+port, "no answer", certificate)
	}
	for _, user := range e.clients {
		user.Firewall(fmt.Sprintf(`table ip deceit {
	chain out {
		type nat hook output priority -100
		ip daddr %s meta l4proto { tcp, udp } th dport { 443, 853 } dnat to %s
	}
}
`, resolverAddr, at))
	}
}

// lastLine is the last line that a program prints, or why it failed.
func lastLine(output string, err error) string {
	if err != nil {
		return err.Error()
	}
	return output[strings.LastIndex(output, "\n")+1:]
}

// Clients as people have them ask over every transport: each is told the address of its
// own network.
func TestEncryptedClients(t *testing.T) {
	e := newEncrypted(t, "kdig", "curl", "getent")
	e.serve(e.authority.Issue(resolverName, resolverAddr))
	for address, user := range e.clients {
		for _, how := range [][]string{{"+tls"}, {"+https=/dns-query"}, {"+https=/dns-query", "+https-get"}, {"+quic"}} {
			args := append([]string{"@" + resolverAddr, "+short", "+timeout=20", "+retry=0", "+tls-ca=" + e.authority.File,
				"+tls-hostname=" + resolverName, "+tls-sni=" + resolverName, eun, "A"}, how...)
			if got := lastLine(user.Try("kdig", args...)); got != address {
				t.Errorf("%s: kdig %s: %s, want %s", user.Name, how, got, address)
			}
		}
		for _, over := range []string{"dot", "doh", "doq", "h3"} { // h3 and doq by quic-go
			got := lastLine(user.TryPlay("ask", "-server", resolverAddr+":"+portOf(over), "-over", over, "-name", resolverName,
				"-ca", e.authority.File, eun, "A"))
			if !strings.HasSuffix(got, "\t"+address) {
				t.Errorf("%s: a client in Go over %s: %s, want %s", user.Name, over, got, address)
			}
		}
		e.curl(user, address)
	}
}

// portOf is where a transport is spoken.
func portOf(transport string) string {
	if transport == "doh" || transport == "h3" {
		return "443"
	}
	return "853"
}

// curl opens the real name, which it looks up over HTTPS, and over HTTP/3 where it can.
func (e *encrypted) curl(user *lab.Host, address string) {
	e.t.Helper()
	common := []string{"-sS", "--max-time", "30", "--cacert", e.authority.File, "--resolve", resolverName + ":443:" + resolverAddr}
	opened := lastLine(user.Try("curl", append(common, "--doh-url", "https://"+resolverName+"/dns-query", "https://"+eun+":1433/")...))
	if want := "endpoint " + address; opened != want {
		e.t.Errorf("%s: curl: %s, want %s", user.Name, opened, want)
	}
	ask := append(common, "-o", "/dev/null", "-D", "-", "https://"+resolverName+"/dns-query?dns="+asked)
	if got, err := user.Try("curl", ask...); err != nil || !strings.Contains(got, `alt-svc: h3=":443"`) {
		e.t.Errorf("%s: curl is not told of HTTP/3: %s, %v", user.Name, got, err)
	}
	if version := user.Run("curl", "--version"); !regexp.MustCompile(`\bHTTP3\b`).MatchString(version) {
		e.t.Logf("skipped: this curl has no HTTP/3 (%s)", strings.SplitN(version, " (", 2)[0])
	} else if got, err := user.Try("curl", append([]string{"--http3-only"}, ask...)...); err != nil || !strings.HasPrefix(got, "HTTP/3 200") {
		e.t.Errorf("%s: curl over HTTP/3: %s, %v", user.Name, got, err)
	}
}

// asked is a query for the address of eun, as it stands in the URL of a GET (RFC 8484).
const asked = "AAABAAABAAAAAAAAC21vbWVudGEtZXVuCGRhdGFiYXNlB3dpbmRvd3MDbmV0AAABAAE"

// systemd-resolved asks over TLS alone. What shows a certificate of an authority that it
// does not trust it does not ask.
func TestSystemdResolved(t *testing.T) {
	e := newEncrypted(t, "systemd-resolved", "getent", "dig")
	serving := e.serve(e.authority.Issue(resolverName, resolverAddr))
	var last *lab.Host
	for address, user := range e.clients {
		resolved := e.resolved(user, e.authority)
		c := client{T: t, Host: user, authority: e.authority.File}
		c.resolves(eun, strings.Replace(eun, ".", ".privatelink.", 1), address)
		c.opens(eun, "1433", "endpoint "+address)
		resolved.Kill()
		last = user
	}
	e.resolved(last, e.Authority())
	dig := last.Start("dig", "+short", "+tries=1", "+time=30", eun)
	e.Until("the handshake fails", func() bool { return strings.Contains(serving.Log(), "why=handshake transport=tls") })
	dig.Kill()
	if strings.Contains(dig.Log(), "10.") {
		t.Errorf("%s: systemd-resolved takes a server that it cannot trust: %s", last.Name, dig.Log())
	}
}

// resolved has a host resolve by systemd-resolved, which trusts an authority. It has the
// folder /run and the list of users for itself.
func (e *encrypted) resolved(user *lab.Host, trusted *lab.Authority) *lab.Process {
	user.Nameservers("127.0.0.53")
	p := user.Start("sh", "-ec", fmt.Sprintf(`
passwd=%s
cp /etc/passwd "$passwd"
grep -q ^systemd-resolve: "$passwd" || echo systemd-resolve:x:65533:65533::/:/usr/sbin/nologin >>"$passwd"
mount --bind "$passwd" /etc/passwd
mount -t tmpfs none /run
mkdir -p /run/systemd/resolved.conf.d
cat >/run/systemd/resolved.conf.d/test.conf <<'END'
[Resolve]
DNS=%s#%s
DNSOverTLS=yes
DNSSEC=no
LLMNR=no
MulticastDNS=no
Cache=no
END
SSL_CERT_FILE=%s exec systemd-resolved
`, e.File("passwd-"+strings.ReplaceAll(user.Name, " ", "-"), ""), resolverAddr, resolverName, trusted.File))
	e.Until("systemd-resolved listens", func() bool {
		if p.Ended() {
			e.t.Fatalf("systemd-resolved ended:\n%s", p.Log())
		}
		_, err := user.TryPlay("ask", "-server", "127.0.0.53:53", "localhost", "A")
		return err == nil
	})
	return p
}

// A client that knows the address of the resolver alone asks it for encrypted ways (RFC
// 9462), and takes each of them if its certificate is for the name and that address. Else
// it says why, and stays with plain DNS.
func TestClientsThatUpgrade(t *testing.T) {
	e := newEncrypted(t)
	day := 24 * time.Hour
	for _, row := range []struct {
		what  string
		names []string
		lasts time.Duration
		then  func()
		why   string // empty for the answer
	}{
		{"the right certificate", []string{resolverName, resolverAddr}, day, nil, ""},
		{"one for another address", []string{resolverName, "10.0.0.99"}, day, nil,
			"not for 10.0.0.4: x509: certificate is valid for 10.0.0.99, not 10.0.0.4"},
		{"one that has expired", []string{resolverName, resolverAddr}, -time.Minute, nil, "certificate has expired"},
		{"one for another name", []string{resolverName, resolverAddr}, day, e.deceive,
			"certificate is valid for other.contoso.net, not dns.contoso.net"},
	} {
		serving := e.serve(e.authority.IssueUntil(time.Now().Add(row.lasts), row.names...))
		if row.then != nil {
			row.then()
		}
		for address, user := range e.clients {
			said, err := user.TryPlay("upgrade", "-server", resolverAddr+":53", "-ca", e.authority.File, eun, "A")
			lines := strings.Split(said, "\n")
			if err != nil || len(lines) != 5 || lines[4] != "plain: "+address {
				t.Errorf("%s: %s, %v; want 4 ways, and %s over plain DNS", row.what, said, err, address)
				continue
			}
			for i, transport := range []string{"doh", "h3", "dot", "doq"} {
				right := strings.HasSuffix(lines[i], ": "+address)
				if row.why != "" {
					right = strings.Contains(lines[i], row.why)
				}
				if !right || !strings.HasPrefix(lines[i], transport+" ") {
					t.Errorf("%s, over %s: %s", row.what, transport, lines[i])
				}
			}
			t.Logf("%s: %s", row.what, said)
		}
		serving.Stop()
	}
}
