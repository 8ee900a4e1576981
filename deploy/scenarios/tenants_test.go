//go:build linux

package scenarios

import (
	"strings"
	"testing"

	"pldns/deploy/scenarios/lab"
)

const (
	contosoSQL        = "contoso-sql.database.windows.net"
	contosoSQLPrivate = "contoso-sql.privatelink.database.windows.net"
	postgres          = "mydb.postgres.database.azure.com"
	postgresPrivate   = "mydb.privatelink.postgres.database.azure.com"
)

// postgresNames is what the Internet knows about the PostgreSQL server.
const postgresNames = `
mydb.postgres.database.azure.com.             300 IN CNAME mydb.privatelink.postgres.database.azure.com.
mydb.privatelink.postgres.database.azure.com. 300 IN CNAME dataslice1.northeurope.postgres.database.azure.com.
dataslice1.northeurope.postgres.database.azure.com. 60 IN A 203.0.113.30
`

const tenantsConfig = `
[listen]
dns = ["10.9.4.2:53", "10.9.5.2:53"]
dot = ["203.0.113.200:853"]
[tls]
cert = "CERT"
key = "KEY"
[upstreams.azure]
servers = ["168.63.129.16"]
[forward]
"." = "azure"

[networks.contoso]
clients = ["10.0.0.0/16"]
listeners = ["10.9.4.2:53"]
[networks.contoso.endpoints]
"contoso-sql.database.windows.net" = "10.0.7.4"

[networks.fabrikam]
clients = ["10.0.0.0/16"]
listeners = ["10.9.5.2:53"]
missing = "nxdomain"
[networks.fabrikam.endpoints]
"contoso-sql.database.windows.net" = "10.0.7.4"
"mydb.postgres.database.azure.com" = "10.0.7.5"

[networks.tailspin]
server_names = ["tailspin.dns.contoso.net"]
[networks.tailspin.endpoints]
"contoso-sql.database.windows.net" = "10.0.9.9"
"mydb.postgres.database.azure.com" = "10.0.9.10"
`

// tenant is one party: a VNet 10.0.0.0/16 with a client, and with endpoints.
type tenant struct {
	name           string
	vnet           *lab.Host
	client         client
	sql, db, decoy *lab.Host
}

// newTenant builds a VNet that is like those of the others: the same prefix, the
// client at the same address. At the addresses where the others have endpoints it
// has a machine of its own, which nobody is to take for the database.
func newTenant(t *testing.T, n *internet, name, sql, db string, decoys ...string) *tenant {
	l := n.lab
	v := &tenant{name: name, vnet: l.Switch(name+" vnet", "10.0.0.1/16")}
	n.join(v.vnet)
	user := l.Host(name + " client")
	v.vnet.Plug(user, "10.0.0.7/16")
	v.client = client{T: t, Host: user, authority: n.authority.File}

	v.sql = l.Host(name + " endpoint of contoso-sql")
	v.vnet.Plug(v.sql, sql+"/16")
	v.sql.Count()
	v.sql.Site(sql+":1433", name+" endpoint of contoso-sql", n.authority.Issue("*.database.windows.net"))
	if db != "" {
		v.db = l.Host(name + " endpoint of mydb")
		v.vnet.Plug(v.db, db+"/16")
		v.db.Postgres(db, name, n.authority.Issue("*.postgres.database.azure.com"))
		v.db.Count()
	}
	v.decoy = l.Host(name + " other machine")
	v.vnet.Plug(v.decoy, decoys...)
	v.decoy.Count()
	v.decoy.Site("0.0.0.0:1433", "another machine of "+name, n.authority.Issue("*.database.windows.net"))
	return v
}

// queries opens the database by a name with psql, as a driver does that checks
// everything, and gives the name of the server's cluster.
func (c client) queries(name string) (string, error) {
	return c.Try("psql", "-At", "-c", "show cluster_name", "host="+name+
		" user=postgres dbname=postgres connect_timeout=30 sslmode=verify-full sslrootcert="+c.authority)
}

// startTenantsResolver runs pldns on a host that has an interface for each tenant that
// comes by its address, and answers by the one that was asked: the addresses of the
// askers are the same.
func startTenantsResolver(n *internet, contoso, fabrikam *tenant) {
	l := n.lab
	resolver := l.Host("resolver")
	resolver.Link("contoso", "10.9.4.2/30", contoso.vnet, "resolver", "10.9.4.1/30")
	resolver.Link("fabrikam", "10.9.5.2/30", fabrikam.vnet, "resolver", "10.9.5.1/30")
	for table, here := range map[string]string{"4": "10.9.4.", "5": "10.9.5."} {
		resolver.Run("ip", "rule", "add", "from", here+"2", "table", table)
		resolver.Run("ip", "route", "add", "default", "via", here+"1", "table", table)
	}
	n.backbone.Plug(resolver, "203.0.113.200/24")
	shown := n.authority.Issue("tailspin.dns.contoso.net")
	file := l.File("pldns.toml", strings.NewReplacer("CERT", shown.Cert, "KEY", shown.Key).Replace(tenantsConfig))
	resolver.Pldns(file)
}

// A provider and two customers, all with 10.0.0.0/16 and a client at 10.0.0.7, and
// an endpoint each for the same servers. One customer has an address of the
// resolver to itself, the other comes over the Internet by DNS over TLS, and is
// known by the name it asks for.
func TestTenantsWithTheSameAddresses(t *testing.T) {
	l := lab.New(t, "dig", "curl", "getent", "unbound", "psql", "setpriv")
	l.NeedsPostgres()
	n := newInternet(l, postgresNames)
	contoso := newTenant(t, n, "contoso", "10.0.7.4", "", "10.0.9.9/16", "10.0.9.10/16", "10.0.7.5/16")
	fabrikam := newTenant(t, n, "fabrikam", "10.0.7.4", "10.0.7.5", "10.0.9.9/16", "10.0.9.10/16")
	tailspin := newTenant(t, n, "tailspin", "10.0.9.9", "10.0.9.10", "10.0.7.4/16", "10.0.7.5/16")

	startTenantsResolver(n, contoso, fabrikam)
	contoso.client.Nameservers("10.9.4.2")
	fabrikam.client.Nameservers("10.9.5.2")
	stub := l.Host("tailspin stub")
	tailspin.vnet.Plug(stub, "10.0.0.53/16")
	unbound(stub, l, `
server:
  tls-cert-bundle: "`+n.authority.File+`"
forward-zone:
  name: "."
  forward-tls-upstream: yes
  forward-addr: 203.0.113.200@853#tailspin.dns.contoso.net
`)
	tailspin.client.Nameservers("10.0.0.53")

	for _, v := range []struct {
		*tenant
		sql, db string
	}{{contoso, "10.0.7.4", ""}, {fabrikam, "10.0.7.4", "10.0.7.5"}, {tailspin, "10.0.9.9", "10.0.9.10"}} {
		v.client.resolves(contosoSQL, contosoSQLPrivate, v.sql)
		v.client.opens(contosoSQL, "1433", v.name+" endpoint of contoso-sql")
		v.client.mistrusts(v.sql, "1433")
		v.client.mistrusts(contosoSQLPrivate, "1433")
		reached(t, v.tenant.sql, true)
		if v.db == "" {
			continue
		}
		v.client.resolves(postgres, postgresPrivate, v.db)
		if got, err := v.client.queries(postgres); err != nil || got != v.name {
			t.Errorf("%s: psql %s: %q, %v", v.name, postgres, got, err)
		}
		for _, other := range []string{v.db, postgresPrivate} {
			if got, err := v.client.queries(other); err == nil || !strings.Contains(err.Error(), "does not match host name") {
				t.Errorf("%s: psql %s: %q, %v; want a certificate for another name", v.name, other, got, err)
			}
		}
		reached(t, v.tenant.db, true)
	}
	for _, v := range []*tenant{contoso, fabrikam, tailspin} {
		reached(t, v.decoy, false)
	}
	reached(t, n.front, false)
	tryOtherIngresses(t, n, stub, contoso, fabrikam, tailspin)
}

// tryOtherIngresses fails the test if a name that is not the server's is a way in over
// DNS over TLS, or if a name that a tenant does not map is not as its network says.
func tryOtherIngresses(t *testing.T, n *internet, stub *lab.Host, contoso, fabrikam, tailspin *tenant) {
	tls := []string{"ask", "-server", "203.0.113.200:853", "-ca", n.authority.File, "-name"}
	if got, err := stub.TryPlay(append(tls, "fabrikam.dns.contoso.net", contosoSQL, "A")...); err == nil {
		t.Errorf("DNS over TLS by a name that is not the server's: %q", got)
	}
	for _, v := range []struct {
		client
		want string
	}{{contoso.client, "203.0.113.20"}, {fabrikam.client, "NXDOMAIN"}, {tailspin.client, "203.0.113.20"}} {
		if got := v.Host.Run("dig", "+noall", "+comments", "+answer", eun, "A"); !strings.Contains(got, v.want) {
			t.Errorf("%s: %s, which is not mapped: %s; want %s", v.client.Host.Name, eun, got, v.want)
		}
	}
}

// unbound runs Unbound on a host, for whoever asks, and waits until it answers.
func unbound(h *lab.Host, l *lab.Lab, more string) *lab.Process {
	file := l.File("unbound-"+strings.ReplaceAll(h.Name, " ", "-")+".conf", `
server:
  interface: 0.0.0.0
  access-control: 0.0.0.0/0 allow
  do-daemonize: no
  use-syslog: no
  chroot: ""
  username: ""
  pidfile: ""
  num-threads: 1
  do-not-query-localhost: no
  module-config: "iterator"
remote-control:
  control-enable: no
`+more)
	p := h.Start("unbound", "-d", "-c", file)
	l.Until("Unbound listens", func() bool {
		_, err := h.TryPlay("ask", "-server", "127.0.0.1:53", "localhost", "A")
		return err == nil || p.Ended()
	})
	return p
}
