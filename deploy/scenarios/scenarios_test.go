//go:build linux

package scenarios

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"pldns/deploy/scenarios/lab"
	"pldns/resolver/resolvertest"
)

func TestMain(m *testing.M) {
	os.Exit(lab.Main(m))
}

// Exit codes of curl.
const (
	curlNoConnection   = 7
	curlTimeout        = 28
	curlBadCertificate = 60
)

// The Internet of every scenario: Azure's resolver, which resolvers and VNets ask
// at the address it has there and everybody else at a public one, and the public
// address of every database and web site, where nobody is to come who has an
// endpoint.
const (
	azureDNS  = "168.63.129.16"
	publicDNS = "203.0.113.53"
)

type internet struct {
	lab       *lab.Lab
	authority *lab.Authority
	backbone  *lab.Host
	dns       *lab.Host
	resolver  *lab.Process // on dns
	front     *lab.Host    // counts who comes
	links     int
}

// newInternet builds it. Names beyond those of [resolvertest.AzureData] may be
// added as master-file lines.
func newInternet(l *lab.Lab, names ...string) *internet {
	n := &internet{lab: l, authority: l.Authority(), backbone: l.Switch("internet", "203.0.113.1/24")}
	n.dns = l.Host("azure dns")
	n.backbone.Plug(n.dns, publicDNS+"/24")
	n.dns.Address("lo", azureDNS+"/32")
	n.backbone.Route(azureDNS, publicDNS)
	n.resolver = n.dns.Azure("0.0.0.0:53", resolvertest.AzureData+strings.Join(names, "\n"))

	n.front = l.Host("public front")
	n.backbone.Plug(n.front, "203.0.113.4/24", "203.0.113.20/24", "203.0.113.21/24", "203.0.113.80/24", "203.0.113.30/24")
	n.front.Count()
	certificate := n.authority.Issue("*.database.windows.net", "*.postgres.database.azure.com", "*.contoso.com")
	n.front.Site("0.0.0.0:1433", "the public address", certificate)
	n.front.Site("0.0.0.0:443", "the public address", certificate)
	return n
}

// join connects a machine to the Internet by an interface "wan"; everything that
// leaves by it comes from one public address.
func (n *internet) join(h *lab.Host) {
	n.links++
	there := "198.51.100." + itoa(4*n.links+1)
	h.Link("wan", "198.51.100."+itoa(4*n.links+2)+"/30", n.backbone, "link"+itoa(n.links), there+"/30")
	h.Route("default", there)
	h.Masquerade("wan")
}

// client is a host whose user opens names.
type client struct {
	*testing.T
	*lab.Host
	authority string // file of who issues certificates
	tcp       bool   // asks over TCP alone
}

// resolves fails the test unless getent and dig on the client find one address for
// the name, over the private name if there is one, and no IPv6 address.
func (c client) resolves(name, private, want string) {
	c.T.Helper()
	got, err := c.Try("getent", "hosts", name)
	if err != nil || len(strings.Fields(got)) == 0 || strings.Fields(got)[0] != want {
		c.Errorf("%s: getent hosts %s: %q, %v; want %s", c.Host.Name, name, got, err, want)
	}
	chain := want
	if private != "" {
		chain = private + ".\n" + want
	}
	ways := []string{"+tcp", "+notcp"}
	if c.tcp {
		ways = ways[:1]
	}
	for _, way := range ways {
		if got, err := c.Try("dig", "+short", way, name, "A"); err != nil || got != chain {
			c.Errorf("%s: dig %s %s: %q, %v; want %q", c.Host.Name, way, name, got, err, chain)
		}
	}
	got, err = c.Try("dig", "+short", ways[len(ways)-1], name, "AAAA")
	if err != nil || strings.Contains(got, ":") {
		c.Errorf("%s: dig %s AAAA: %q, %v", c.Host.Name, name, got, err)
	}
}

// opens fails the test unless curl and a client in Go open the real name, find its
// certificate good, and are told what they should be.
func (c client) opens(name, port, want string) {
	c.T.Helper()
	url := "https://" + name + ":" + port + "/"
	if got, err := c.Try("curl", "-sS", "--max-time", "30", "--cacert", c.authority, url); err != nil || got != want {
		c.Errorf("%s: curl %s: %q, %v; want %q", c.Host.Name, url, got, err, want)
	}
	if got, err := c.TryPlay("connect", "-ca", c.authority, url); err != nil || got != want {
		c.Errorf("%s: a client in Go, %s: %q, %v; want %q", c.Host.Name, url, got, err, want)
	}
}

// mistrusts fails the test unless curl reaches a server by another name than the
// real one, an address or the private name, and holds its certificate for bad.
func (c client) mistrusts(name, port string) {
	c.T.Helper()
	_, err := c.Try("curl", "-sS", "--max-time", "30", "--cacert", c.authority, "https://"+name+":"+port+"/")
	if code := exitCode(err); code != curlBadCertificate {
		c.Errorf("%s: curl %s: %v; want a certificate for another name", c.Host.Name, name, err)
	}
}

// cannotReach fails the test if curl reaches an address at all.
func (c client) cannotReach(address, port string) {
	c.T.Helper()
	_, err := c.Try("curl", "-sS", "--connect-timeout", "1", "--cacert", c.authority, "https://"+address+":"+port+"/")
	if code := exitCode(err); code != curlNoConnection && code != curlTimeout {
		c.Errorf("%s: curl %s: %v; want no connection", c.Host.Name, address, err)
	}
}

// exitCode is how a program ended that lab.Host.Try ran; 0 if well.
func exitCode(err error) int {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// reached fails the test unless somebody tried to reach a host, or nobody did.
func reached(t *testing.T, h *lab.Host, want bool) {
	t.Helper()
	if n := h.Reached(); (n > 0) != want {
		t.Errorf("%s: %d connections were tried; want some: %v", h.Name, n, want)
	}
}
