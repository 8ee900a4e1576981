package doctor_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/cmd/internal/doctor"
	"pldns/resolver/resolvertest"
	"pldns/zones"
	"pldns/zones/azure"
)

const (
	vnet = `
mydb.database.windows.net.             10 IN CNAME mydb.privatelink.database.windows.net.
mydb.privatelink.database.windows.net. 10 IN A     127.0.0.1
`
	internet = `
mydb.database.windows.net.             300 IN CNAME mydb.privatelink.database.windows.net.
mydb.privatelink.database.windows.net. 300 IN CNAME dataslice4.eastus2.database.windows.net.
dataslice4.eastus2.database.windows.net. 300 IN A   203.0.113.9
`
	noEndpoint = `
mydb.database.windows.net.               300 IN CNAME dataslice4.eastus2.database.windows.net.
dataslice4.eastus2.database.windows.net. 300 IN A   203.0.113.9
`
)

// scene is a client: what it asks, and the database it wants to reach, which has
// a good certificate.
type scene struct {
	server *resolvertest.Upstream
	config doctor.Config
}

func newScene(t *testing.T, zone string) *scene {
	t.Helper()
	ca := newAuthority(t)
	server := resolvertest.StartUpstream(t, zone)
	return &scene{server: server, config: doctor.Config{
		Catalogue: azure.New(), Server: server.Addr, Roots: ca.roots, Timeout: patience, OS: "linux",
		Port: serve(t, sqlServer(t, 1, ca.issue([]string{sqlName}))).Port(), System: hostOf("127.0.0.1"),
	}}
}

func (s *scene) change(change func(reply *dns.Msg)) {
	s.server.On(sqlName, resolvertest.Changed(change))
}

// A client for which everything is right.
func TestAllIsWell(t *testing.T) {
	s := newScene(t, vnet)
	report := examine(t, s.config, sqlName)
	expect(t, report, nil,
		"ok system: the operating system answers 127.0.0.1",
		"ok dns-udp: "+s.server.Addr.String()+" answers mydb.database.windows.net 10 CNAME mydb.privatelink.database.windows.net, mydb.privatelink.database.windows.net 10 A 127.0.0.1",
		"ok dns-tcp: "+s.server.Addr.String()+" gives the same answer over TCP",
		"ok ipv6: ",
		"ok alias: "+s.server.Addr.String()+" leads over mydb.privatelink.database.windows.net to the private address, and the operating system answers the same",
		"skipped public: no public resolver was asked (--public names one); its answer would lead over mydb.privatelink.database.windows.net to a public address",
		"ok connect: 127.0.0.1:", "ok certificate: 127.0.0.1:")
	if report.Service == "" || report.Protocol != doctor.SQLServer || report.Server != s.server.Addr.String() {
		t.Errorf("%+v", report)
	}
}

// story is something that goes wrong in a scene, and what is to be told of it.
type story struct {
	name  string
	zone  string
	as    func(t *testing.T, s *scene)
	fails []string
	says  []string
}

func runStories(t *testing.T, stories []story) {
	for _, test := range stories {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, test.zone)
			test.as(t, s)
			expect(t, examine(t, s.config, sqlName), test.fails, test.says...)
		})
	}
}

// Every reply without an address fails one step, which says what to do.
func TestEveryReplyWithoutAddress(t *testing.T) {
	runStories(t, []story{
		{"REFUSED with EDE 18: no network (RFC 8914 section 4.19)", vnet, func(_ *testing.T, s *scene) {
			s.change(withErrors(dns.RcodeRefused, dns.ExtendedErrorCodeProhibited, "this client belongs to no network"))
		}, []string{"dns-udp"}, []string{
			"answers REFUSED (extended error 18, Prohibited: this client belongs to no network)",
			`this client is in no network of the server: add its address to "clients" of one`,
			"skipped alias: there is no answer to look at",
		}},
		{"REFUSED: the zone refuses missing names", vnet, func(_ *testing.T, s *scene) {
			s.change(withErrors(dns.RcodeRefused, dns.ExtendedErrorCodeProhibited, "no endpoint here, and the zone refuses missing names"))
		}, []string{"dns-udp"}, []string{"=> map mydb.database.windows.net in the network of this client"}},
		{"REFUSED without a reason", vnet, func(_ *testing.T, s *scene) {
			s.server.Always(resolvertest.Rcode(dns.RcodeRefused))
		}, []string{"dns-udp"}, []string{"=> the server does not serve this client"}},
		{"NXDOMAIN", "x.example. IN A 192.0.2.1", func(*testing.T, *scene) {},
			[]string{"dns-udp"}, []string{"answers NXDOMAIN", `let its zone have missing = "forward"`}},
		{"SERVFAIL, with hostile text", vnet, func(_ *testing.T, s *scene) {
			s.change(withErrors(dns.RcodeServerFailure, dns.ExtendedErrorCodeNetworkError, "gone\x1b[2J\r\nok certificate\u202e"))
		}, []string{"dns-udp"}, []string{`extended error 23, Network Error: gone\x1b[2J\r\nok certificate`, "could not ask its upstream"}},
		{"NOERROR without an address", "mydb.database.windows.net. IN TXT x", func(*testing.T, *scene) {},
			[]string{"dns-udp"}, []string{"answers no address and no alias", "has no address at this server"}},
		{"a chain that is not completed", vnet, func(_ *testing.T, s *scene) {
			s.change(func(reply *dns.Msg) { reply.Answer = reply.Answer[:1] })
		}, []string{"dns-udp"}, []string{"the chain ends at mydb.privatelink.database.windows.net without an address"}},
	})
}

// Whatever a server does in place of a reply fails its own step.
func TestEveryMissingReply(t *testing.T) {
	runStories(t, []story{
		{"garbage over UDP", vnet, func(_ *testing.T, s *scene) {
			s.config.Timeout = impatience
			s.server.Always(resolvertest.Over(resolvertest.UDP, resolvertest.Bytes([]byte("not a message of DNS"))))
		}, []string{"dns-udp"}, []string{"sends no reply but 20 bytes that are no DNS message"}},
		{"too little over UDP", vnet, func(_ *testing.T, s *scene) {
			s.config.Timeout = impatience
			s.server.Always(resolvertest.Over(resolvertest.UDP, resolvertest.Bytes([]byte("no"))))
		}, []string{"dns-udp"}, []string{"sends no reply but too few bytes"}},
		{"silence over UDP", vnet, func(_ *testing.T, s *scene) {
			s.config.Timeout = impatience
			s.server.Always(resolvertest.Over(resolvertest.UDP, resolvertest.Drop))
		}, []string{"dns-udp"}, []string{"does not answer over UDP within 1.5s", "drops UDP to port"}},
		{"a reply to another question", vnet, func(_ *testing.T, s *scene) {
			s.config.Timeout = impatience
			s.server.Always(resolvertest.Over(resolvertest.UDP, resolvertest.WrongName))
		}, []string{"dns-udp"}, []string{"a reply to another question"}},
		{"hung up over TCP", vnet, func(_ *testing.T, s *scene) {
			s.server.Always(resolvertest.Over(resolvertest.TCP, resolvertest.HangUp))
		}, []string{"dns-tcp"}, []string{"cannot be asked over TCP: EOF"}},
		{"nothing listens", vnet, func(t *testing.T, s *scene) {
			s.config.Server = resolvertest.ClosedAddr(t)
		}, []string{"dns-udp", "dns-tcp"}, []string{"nothing listens at", "note alias: the operating system answers privately; there is no answer of a server to compare with", "ok certificate"}},
		{"too long for UDP (RFC 1035 section 4.2.1)", vnet, func(_ *testing.T, s *scene) {
			s.server.Always(resolvertest.Truncated)
		}, nil, []string{"ok dns-udp: ", "the answer is too long for UDP", "ok dns-tcp: ", "ok certificate"}},
	})
}

// What the operating system says, or does not, is a step of its own.
func TestEveryAnswerOfTheSystem(t *testing.T) {
	runStories(t, []story{
		{"the system knows no such name", vnet, func(_ *testing.T, s *scene) {
			s.config.System = hostFunc(func(host string) ([]netip.Addr, error) {
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			})
		}, []string{"system"}, []string{"the operating system knows no such name", "point this client at the server", "ok certificate"}},
		{"the system is silent", vnet, func(_ *testing.T, s *scene) {
			s.config.System = hostFunc(func(string) ([]netip.Addr, error) { return nil, context.DeadlineExceeded })
		}, []string{"system"}, []string{"the operating system gives no answer within"}},
		{"the system fails otherwise", vnet, func(_ *testing.T, s *scene) {
			s.config.System = hostFunc(func(string) ([]netip.Addr, error) { return nil, errors.New("no \x1b[1mresolver") })
		}, []string{"system"}, []string{`the operating system gives no answer: no \x1b[1mresolver`}},
		{"the system is not asked", vnet, func(_ *testing.T, s *scene) { s.config.System = nil },
			nil, []string{"skipped system: the operating system is not asked", "ok alias: ", "ok certificate"}},
		{"there is no server", vnet, func(_ *testing.T, s *scene) { s.config.Server = netip.AddrPort{} },
			nil, []string{"skipped dns-udp: there is no server to ask: the system names none => name the address of pldns with --server"}},
		{"public IPv6 beside the private address", vnet + "mydb.privatelink.database.windows.net. 10 IN AAAA 2001:db8::9", func(*testing.T, *scene) {},
			[]string{"ipv6"}, []string{"public IPv6 addresses (2001:db8::9) stand beside the private ones"}},
	})
}

// The place where the alias is lost is found: here the server itself.
func TestTheServerLosesTheAlias(t *testing.T) {
	runStories(t, []story{
		{"public answer: the alias is there, and nothing is mapped", internet, func(*testing.T, *scene) {}, []string{"alias"}, []string{
			"leaves the private path at mydb.privatelink.database.windows.net and goes on to dataslice4.eastus2.database.windows.net: the answer is public, because no endpoint of this name is mapped in this network",
			"note public: the answer above is a public one: the alias mydb.privatelink.database.windows.net shows that somebody has an approved private endpoint for it",
			"skipped certificate: there is no private address to connect to",
		}},
		{"public answer: no alias anywhere", noEndpoint, func(*testing.T, *scene) {}, []string{"alias"}, []string{
			"answers without the privatelink alias at mydb.database.windows.net",
			"note public: the answer above is a public one: there is no privatelink alias, so no private endpoint of it is approved anywhere",
		}},
		{"the server knows the private name and does not lead there", noEndpoint + "mydb.privatelink.database.windows.net. 10 IN A 10.0.1.4", func(*testing.T, *scene) {}, []string{"alias"}, []string{
			"loses the alias at mydb.database.windows.net: it goes on to dataslice4.eastus2.database.windows.net, though it knows mydb.privatelink.database.windows.net as 10.0.1.4",
			"forward the public zone, not only the privatelink zone, to pldns",
		}},
		{"private and public addresses", vnet + "mydb.privatelink.database.windows.net. 10 IN A 203.0.113.9", func(_ *testing.T, s *scene) { s.config.System = nil },
			[]string{"alias"}, []string{"answers with private and with public addresses", "ok certificate: 127.0.0.1:"}},
	})
}

// Here a nameserver of the operating system loses the alias.
func TestANameserverLosesTheAlias(t *testing.T) {
	runStories(t, []story{
		{"a nameserver of the system", vnet, func(t *testing.T, s *scene) {
			other := resolvertest.StartUpstream(t, internet)
			s.config.Nameservers = []netip.AddrPort{other.Addr, s.server.Addr}
			s.config.System = hostOf("203.0.113.9")
		}, []string{"alias"}, []string{
			"the alias is lost at nameserver 127.0.0.1:", "it goes public after mydb.privatelink.database.windows.net",
			"have that server forward the public zone, and not only the privatelink zone, to 127.0.0.1",
		}},
		{"a nameserver that has no alias", vnet, func(t *testing.T, s *scene) {
			s.config.Nameservers = []netip.AddrPort{resolvertest.StartUpstream(t, noEndpoint).Addr}
			s.config.System = hostOf("203.0.113.9")
		}, []string{"alias"}, []string{"the alias is lost at nameserver 127.0.0.1:", "it has no alias at mydb.database.windows.net"}},
		{"a second nameserver that would lose it", vnet, func(t *testing.T, s *scene) {
			s.config.Nameservers = []netip.AddrPort{s.server.Addr, resolvertest.StartUpstream(t, internet).Addr}
		}, nil, []string{"note alias: the operating system answers privately now, but its nameserver 127.0.0.1:", "leave only nameservers that answer alike"}},
		{"a nameserver that does not answer loses nothing", vnet, func(t *testing.T, s *scene) {
			s.config.Nameservers = []netip.AddrPort{s.server.Addr, resolvertest.ClosedAddr(t)}
		}, nil, []string{"and the operating system answers the same"}},
	})
}

// Here the operating system loses the alias, and remedies are in its own words.
func TestTheSystemLosesTheAlias(t *testing.T) {
	runStories(t, []story{
		{"the system, on Linux", vnet, func(_ *testing.T, s *scene) { s.config.System = hostOf("203.0.113.9") }, []string{"alias"}, []string{
			"the alias is lost in the operating system: it answers 203.0.113.9, and 127.0.0.1:", "set the custom DNS servers of the VNet to 127.0.0.1, download the VPN profile again", "/etc/hosts",
		}},
		{"the system, on Windows", vnet, func(_ *testing.T, s *scene) {
			s.config.System, s.config.OS = hostOf("203.0.113.9"), "windows"
		}, []string{"alias"}, []string{
			"compare with Resolve-DnsName mydb.database.windows.net -DnsOnly and Get-DnsClientNrptPolicy (nslookup does not know the NRPT and misleads)",
		}},
		{"the system, on macOS", vnet, func(_ *testing.T, s *scene) {
			s.config.System, s.config.OS = hostOf("203.0.113.9"), "darwin"
		}, []string{"alias"}, []string{"look at scutil --dns"}},
		{"the system has an old private address", vnet, func(_ *testing.T, s *scene) { s.config.System = hostOf("10.9.9.9") },
			[]string{"alias"}, []string{"it answers 10.9.9.9, and 127.0.0.1:"}},
		{"only the system answers, and publicly", vnet, func(t *testing.T, s *scene) {
			s.config.Server, s.config.System = resolvertest.ClosedAddr(t), hostOf("203.0.113.9")
		}, []string{"dns-udp", "dns-tcp", "alias"}, []string{"the operating system answers publicly"}},
	})
}

// A public resolver shows what somebody outside is told, and fails nothing.
func TestAPublicResolver(t *testing.T) {
	runStories(t, []story{
		{"a public resolver to compare with", vnet, func(t *testing.T, s *scene) {
			s.config.Public = resolvertest.StartUpstream(t, internet).Addr
		}, nil, []string{"note public: 127.0.0.1:", "shows that somebody has an approved private endpoint"}},
		{"a public resolver that knows another alias", vnet, func(t *testing.T, s *scene) {
			s.config.Public = resolvertest.StartUpstream(t, strings.ReplaceAll(internet, "mydb.privatelink.", "mydb.eastus.privatelink.")).Addr
		}, nil, []string{"though the catalogue derives mydb.privatelink.database.windows.net: believe the alias"}},
		{"a public resolver that does not answer", vnet, func(t *testing.T, s *scene) {
			s.config.Public = resolvertest.ClosedAddr(t)
		}, nil, []string{"note public: nothing listens at 127.0.0.1:"}},
	})
}

// Names outside the catalogue, and names that lead into it, are looked at too.
func TestOtherNames(t *testing.T) {
	const zone = `
db.contoso.com.  300 IN CNAME mydb.database.windows.net.
www.contoso.com. 300 IN A     203.0.113.80
api.contoso.com. 10  IN A     127.0.0.1
range.blob.core.windows.net. 10 IN CNAME range.privatelink.blob.core.windows.net.
range.privatelink.blob.core.windows.net. 10 IN A 203.0.113.81
six.blob.core.windows.net. 10 IN CNAME six.privatelink.blob.core.windows.net.
six.privatelink.blob.core.windows.net. 10 IN AAAA fd00::4
`
	for _, test := range []struct{ zone, name, verdict, says string }{
		{internet, "db.contoso.com", "fail", "leaves the private path at mydb.privatelink.database.windows.net"},
		{noEndpoint, "db.contoso.com", "fail", "answers without the privatelink alias at mydb.database.windows.net"},
		{vnet, "db.contoso.com", "ok", "leads over mydb.privatelink.database.windows.net to the private address"},
		{vnet, "www.contoso.com", "fail", "answers publicly, and no name of the chain is one of Azure Private Link"},
		{vnet, "api.contoso.com", "ok", "answers privately"},
		{vnet, "range.blob.core.windows.net", "note", "the addresses are of a public range"},
		{vnet, "six.blob.core.windows.net", "ok", "leads over six.privatelink.blob.core.windows.net"},
	} {
		t.Run(test.name+" "+test.verdict, func(t *testing.T) {
			config := newScene(t, zone+test.zone).config
			config.System = nil
			// Only the answers are of interest, and no address but loopback is to be connected to.
			ctx, cancel := context.WithCancel(t.Context())
			config.Told = func(step doctor.Step) {
				if step.Name == "public" {
					cancel()
				}
			}
			report := doctor.Examine(ctx, config, zones.MustName(test.name))
			if want := test.verdict + " alias: "; !strings.Contains(lines(report), want) || !strings.Contains(lines(report), test.says) {
				t.Errorf("%s says\n%s, want %q and %q", test.name, lines(report), want, test.says)
			}
		})
	}
}

// Every fault of a certificate is told, several at once.
func TestEveryFaultOfTheCertificate(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	hostile := func(template *x509.Certificate) {
		template.Subject.CommonName, template.DNSNames = "x\x1b]0;owned\x07", nil
	}
	for _, test := range []struct {
		name string
		from *authority
		san  []string
		as   func(*x509.Certificate)
		says []string
	}{
		{"another name", ca, []string{"a.example", "b.example", "c.example", "d.example", "e.example"}, nil,
			[]string{"the certificate is for a.example, b.example, c.example, d.example and 1 more, not for " + sqlName, "pldns verify finds endpoints that were swapped"}},
		{"expired", ca, []string{sqlName}, expired, []string{"the certificate expired on", "renew it at the server"}},
		{"expired, and another name", ca, []string{"a.example"}, expired, []string{"for a.example, not for", "; the certificate expired on"}},
		{"not yet valid", ca, []string{sqlName}, func(c *x509.Certificate) { c.NotBefore = c.NotAfter.AddDate(0, 0, -1).Add(25 * 3600e9) }, []string{"is not valid before"}},
		{"signed by a stranger", stranger, []string{sqlName}, nil, []string{"signed by Test Root, which is not trusted here", "name its certificate with --ca"}},
		{"for clients", ca, []string{sqlName}, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, []string{"does not verify: x509: certificate specifies an incompatible key usage"}},
		{"a hostile subject", ca, nil, hostile, []string{`for no name but the subject x\x1b]0;owned\a, not for`}},
		{"no name at all", ca, nil, nil, []string{"for no name, not for"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.as == nil {
				test.as = func(*x509.Certificate) {}
			}
			port := serve(t, plainTLS(test.from.issue(test.san, test.as))).Port()
			config := at(t, sqlName, port, doctor.TLS, ca)
			expect(t, examine(t, config, sqlName), []string{"certificate"}, test.says...)
		})
	}
}

// The private name never verifies: the remedy names the public one.
func TestThePrivateNameNeverVerifies(t *testing.T) {
	ca := newAuthority(t)
	const private = "mydb.privatelink.database.windows.net"
	port := serve(t, sqlServer(t, 1, ca.issue([]string{"*.database.windows.net"}))).Port()
	expect(t, examine(t, at(t, private, port, "", ca), private), []string{"certificate"},
		"the certificate is for *.database.windows.net, not for "+private,
		"neither the private name nor an address ever verifies; connect to "+sqlName)
	expect(t, examine(t, at(t, sqlName, port, "", ca), sqlName), nil)
}

// A closed port is a fault of the connection, and the certificate is not tried.
func TestClosedPort(t *testing.T) {
	ca := newAuthority(t)
	expect(t, examine(t, at(t, sqlName, resolvertest.ClosedAddr(t).Port(), "", ca), sqlName), []string{"connect"},
		"refuses connections", "skipped certificate: there is no connection to 127.0.0.1:")
}

// Many addresses are connected to up to a bound, and the rest is told.
func TestManyAddresses(t *testing.T) {
	ca := newAuthority(t)
	zone := ""
	for i := range 10 {
		zone += sqlName + ". 10 IN A 127.0.0." + string(rune('1'+i%9)) + "\n"
		zone += sqlName + ". 10 IN A 127.0.1." + string(rune('1'+i%9)) + "\n"
	}
	config := at(t, sqlName, resolvertest.ClosedAddr(t).Port(), "", ca)
	config.Server = resolvertest.StartUpstream(t, zone).Addr
	report := examine(t, config, sqlName)
	if got := len(failing(report)); got != 8 || !strings.Contains(lines(report), "note connect: 10 more addresses were not connected to") {
		t.Errorf("%d failed steps in\n%s", got, lines(report))
	}
}

// The operating system is asked as programs ask it: here by Go's own resolver.
func TestARealResolverOfTheSystem(t *testing.T) {
	s := newScene(t, vnet)
	s.config.System = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.server.Addr.String())
	}}
	expect(t, examine(t, s.config, sqlName), nil, "ok system: the operating system answers 127.0.0.1")
	s.server.On(sqlName, resolvertest.Rcode(dns.RcodeNameError))
	expect(t, examine(t, s.config, sqlName), []string{"system", "dns-udp"}, "the operating system knows no such name")
}

// An examination ends soon after its context, whatever does not answer.
func TestTheContextEndsAnExamination(t *testing.T) {
	s := newScene(t, vnet)
	s.server.Always(resolvertest.Drop)
	ctx, cancel := context.WithCancel(t.Context())
	s.config.Told = func(doctor.Step) { cancel() }
	report := doctor.Examine(ctx, s.config, zones.MustName(sqlName))
	if report.OK || !slices.Contains(failing(report), "dns-udp") {
		t.Errorf("the report is fine:\n%s", lines(report))
	}
}

// A report is JSON with one object for each step.
func TestReportAsJSON(t *testing.T) {
	s := newScene(t, vnet)
	text, err := json.Marshal(examine(t, s.config, sqlName))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"name":"mydb.database.windows.net"`, `"protocol":"tds"`, `"ok":true`, `{"step":"system","verdict":"ok","seen":"the operating system answers 127.0.0.1","addresses":["127.0.0.1"]}`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %s in %s", part, text)
		}
	}
}
