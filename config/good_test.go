package config_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pldns/config"
)

// TestGoodFiles holds good files against what they mean, which stands beside each
// as text, and against what package zones makes of it.
func TestGoodFiles(t *testing.T) {
	t.Chdir("testdata/good")
	files, err := filepath.Glob("*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no good files: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".toml")
		t.Run(name, func(t *testing.T) {
			c, err := config.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, name+".txt", meaning(c))
		})
	}
}

// TestExample shows that the built-in example is good, and what it means.
func TestExample(t *testing.T) {
	c, err := config.Parse("example.toml", config.Example(), nil)
	if err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "testdata/example.txt", meaning(c))
}

// compareGolden compares a text with a file, or writes the file under -update.
func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// meaning writes a configuration as text, one fact a line.
func meaning(c *config.Config) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("files %v", c.Files)
	line("listen %v admin %v", c.Listen.DNS, c.Listen.Admin)
	if c.Listen.AdminTokenFile != "" {
		line("token %s of %s, hosts %v", c.Listen.AdminToken, c.Listen.AdminTokenFile, c.Listen.AdminHosts)
	}
	if c.Listen.Identity != "" || c.Listen.Version {
		line("identity %q, version %v", c.Listen.Identity, c.Listen.Version)
	}
	if !c.Clients.IsZero() {
		line("clients %+v", c.Clients)
	}
	if c.Listen.Designated != nil {
		line("designated %v", c.Listen.Designated)
	}
	if c.Listen.DoT != nil || c.Listen.DoH != nil {
		line("dot %v doh %v doq %v h3 %v", c.Listen.DoT, c.Listen.DoH, c.Listen.DoQ, c.Listen.H3)
		line("tls %v, asks %v", c.TLS.Files(), c.TLS.ClientCAs != nil)
		for _, shown := range c.TLS.Certificates {
			line("  certificate %s for %v", shown.Name, shown.Leaf().DNSNames)
		}
	}
	if c.Trust.ClientSubnet != nil || c.Trust.ProxyProtocol != nil {
		line("trust client_subnet %v proxy_protocol %v", c.Trust.ClientSubnet, c.Trust.ProxyProtocol)
	}
	line("limit %+v", c.Limit)
	line("deadline %v", c.Deadline)
	line("cache %+v", c.Cache)
	if c.QueryLog.Mode != "off" {
		line("query_log %+v", c.QueryLog)
	}
	if c.Shadow.Upstream != "" {
		line("shadow %+v", c.Shadow)
	}
	if c.Dnstap.Network != "" {
		line("dnstap %+v", c.Dnstap)
	}
	if c.Traffic.State != "" || !c.Traffic.Top {
		line("traffic %+v", c.Traffic)
	}
	if c.Log != (config.Log{}) {
		line("log %+v", c.Log)
	}
	if o := c.OTLP; o != nil {
		line("otlp %s headers %v of %v, roots %v, metrics %v every %v", o.Endpoint, o.Headers, o.Files(), o.Roots != nil, o.Metrics, o.Every)
	}
	for _, u := range c.Upstreams {
		line("upstream %s %s max_qps %v", u.Name, u.Policy, u.MaxQPS)
		for _, s := range u.Servers {
			line("  %s: system=%v %s %v name=%q url=%q bootstrap=%v", s.Text, s.System, s.Transport, s.Addr, s.Name, s.URL, s.Bootstrap)
		}
	}
	line("forward %v", c.Forward)
	for _, a := range c.Azure {
		line("azure %s: %s %s of %s, scopes %v", a.Name, a.Identity, a.ClientID, a.Tenant, a.Scopes)
		line("  every %v within %v, state %s, cloud %s", a.Every, a.Deadline, a.State, a.Cloud)
		line("  endpoint %q authority %q roots %v network %q", a.Endpoint, a.Authority, a.Roots != nil, a.Network)
	}
	if s := c.Store; s != nil {
		line("store %s channel %s as %s, state %s", s.Where(), s.Channel, s.Name, s.State)
		line("  prefix %q user %q password %q every %v identity %q of %s in %s", s.Prefix, s.User, s.Password, s.Every, s.Identity,
			s.ClientID, s.Tenant)
		line("  files %v roots %v certificate %v", s.Files(), s.Roots != nil, s.Certificate != nil)
	}
	writeCopies(line, c)
	for i := range c.Networks {
		writeNetwork(line, &c.Networks[i], c.Limit.Listed)
	}
	return b.String()
}

func writeCopies(line func(string, ...any), c *config.Config) {
	if s := c.Secondary; s.State != "" {
		line("secondary %s max_records %d ca %q roots %v", s.State, s.MaxRecords, s.CA, s.Roots != nil)
	}
	for _, key := range c.Keys {
		line("key %s of %q: %d octets", key, key.File, len(key.Secret))
	}
	for _, held := range c.Copies {
		line("copy %s of %s for %v", held.ID, held.Zone, held.Networks)
		for _, p := range held.Primaries {
			line("  primary %s: %v tls=%v name=%q key=%v", p.Text, p.Addr, p.TLS, p.ServerName, p.Key)
		}
	}
	for _, of := range c.Catalogs {
		line("catalog %s of %q: copy %s", of.Zone, of.Network, of.Copy)
		for _, p := range of.Members {
			line("  members from %s key=%v", p.Text, p.Key)
		}
	}
	for _, of := range c.PolicyZones {
		line("policy %s: zone %s, action %s, copy %s", of.Options.Name, of.Zone, of.Options.Action, of.Copy)
	}
	for _, t := range c.Transfers {
		line("transfer %s of %s to %v, tells %v, key %v, copy %q", t.Zone, t.Network, t.To, t.Notify, t.Key, t.Copy)
	}
}

func writeNetwork(line func(string, ...any), n *config.Network, listed int) {
	line("network %s clients %v listeners %v missing %v", n.Name, n.Clients, n.Listeners, n.Missing)
	if n.Designated != nil {
		line("  designated %v", n.Designated)
	}
	spec := n.Spec()
	for _, ingress := range spec.Ingresses() {
		line("  ingress %s", ingress)
	}
	if len(n.RequirePrivate) > 0 {
		line("  require_private %v", n.RequirePrivate)
	}
	if n.DNS64 != nil {
		line("  dns64 %s, excludes 10.9.0.1 %t, 10.8.0.1 %t", n.DNS64.Prefix(), n.DNS64.Excludes(netip.MustParseAddr("10.9.0.1")), n.DNS64.Excludes(netip.MustParseAddr("10.8.0.1")))
	}
	for _, p := range n.Policies {
		line("  policy %s: %d entries, EDE %d", p.Name(), p.Len(), p.Code())
	}
	if n.Limit != listed {
		line("  limit %d", n.Limit)
	}
	line("  forward %v, suffixes %v", n.Forward, n.Spec().Routes)
	if n.Azure != nil {
		line("  azure %+v, learns clients %v", *n.Azure, spec.LearnsClients)
	}
	for e := range n.Endpoints() {
		line("  endpoint %s", e.Name)
		line("    private %s in %s", e.Private, e.Zone)
		line("    %v ttl %d probe %q for %q pick %s", e.Addresses, e.TTL, e.Probe, e.Probe.Spec().Name.FQDN(), e.Pick)
		line("    from %s", e.Place)
	}
	for _, z := range n.Zones {
		line("  zone %s missing %d", z.Name, z.Missing)
		if z.Copy != "" {
			line("    copy %s", z.Copy)
		}
		for _, rr := range z.Records {
			line("    %s", strings.ReplaceAll(rr.String(), "\t", " "))
		}
	}
}

// TestLoadUnreadable shows that a file that cannot be read is no fault of its text.
func TestLoadUnreadable(t *testing.T) {
	var problems config.Problems
	_, err := config.Load(filepath.Join(t.TempDir(), "pldns.toml"))
	if err == nil || errors.As(err, &problems) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := config.Load(t.TempDir()); err == nil || errors.As(err, &problems) {
		t.Errorf("a directory: %v", err)
	}
}
