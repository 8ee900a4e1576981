package doctor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"pldns/zones"
)

// title is a protocol in a sentence.
func (p Protocol) title() string {
	switch p {
	case SQLServer:
		return "the protocol of SQL Server"
	case PostgreSQL:
		return "the protocol of PostgreSQL"
	case MySQL:
		return "the protocol of MySQL"
	default:
		return "TLS"
	}
}

// systemFault says why the operating system gives no address.
func systemFault(err error, timeout time.Duration) (seen, remedy string) {
	var fault *net.DNSError
	switch {
	case errors.As(err, &fault) && fault.IsNotFound:
		return "the operating system knows no such name",
			"see what the server says below; if that has an address, point this client at the server, and flush what it remembers"
	case isTimeout(err):
		return fmt.Sprintf("the operating system gives no answer within %s", timeout),
			"check that its nameservers are reachable: connect the VPN, or set the DNS servers of the VNet to pldns"
	default:
		return "the operating system gives no answer: " + foreign(err.Error()), "check the nameservers that it is set to"
	}
}

// noReply says why a server gives no reply.
func noReply(a answer, transport string, timeout time.Duration) (seen, remedy string) {
	switch {
	case errors.Is(a.err, errOdd):
		return fmt.Sprintf("%s sends %s", a.server, strings.Replace(foreign(a.err.Error()), "no reply, but: ", "no reply but ", 1)),
			"check that this is the address of a DNS server, and that nothing on the way answers in its place"
	case isTimeout(a.err):
		return fmt.Sprintf("%s does not answer over %s within %s", a.server, transport, timeout),
			fmt.Sprintf("check that pldns listens there, and that no firewall or missing route drops %s to port %d", transport,
				a.server.Port())
	case isRefused(a.err), transport == "UDP" && isReset(a.err): // Windows says of UDP that it was reset
		return fmt.Sprintf("nothing listens at %s over %s", a.server, transport),
			"start pldns there, or name where it listens with --server"
	default:
		return fmt.Sprintf("%s cannot be asked over %s: %s", a.server, transport, foreign(a.err.Error())),
			"name the address of pldns with --server"
	}
}

// noAddress is what to do about an answer without an address.
func noAddress(a answer, name zones.Name) string {
	reasons := strings.Join(a.errors, " ")
	switch {
	case a.rcode == dns.RcodeRefused && strings.Contains(reasons, "no endpoint"), a.rcode == dns.RcodeNameError:
		return fmt.Sprintf(`map %s in the network of this client, or let its zone have missing = "forward"; check the spelling first`, name)
	case a.rcode == dns.RcodeRefused && a.prohibits:
		return `this client is in no network of the server: add its address to "clients" of one; pldns explain --client says which it is in`
	case a.rcode == dns.RcodeRefused:
		return "the server does not serve this client: allow its address there"
	case a.rcode == dns.RcodeServerFailure:
		return "the server could not ask its upstream: pldns explain says what happened; a mapped name needs no upstream"
	case len(a.chain.Links) > 0:
		return fmt.Sprintf("the chain ends at %s without an address: ask a server that completes chains, or check that name", a.chain.End())
	case a.rcode == dns.RcodeSuccess:
		return fmt.Sprintf("%s has no address at this server: map it, or check the spelling", name)
	default:
		return "look at the log of the server"
	}
}

// lostAtServer says where the answer of the server goes wrong, and what to do. The
// server is known to have a private address for the privatelink name if known is
// not empty.
func lostAtServer(server netip.AddrPort, f Finding, name zones.Name, known []netip.Addr) (seen, remedy string) {
	const network = "add the mapping to the network that this client is in (pldns explain --client says which)"
	next := ""
	if !f.Next.IsZero() {
		next = " to " + f.Next.String()
	}
	switch {
	case f.Kind == Mixed:
		return fmt.Sprintf("%s answers with private and with public addresses", server),
			"give the name only its private addresses; let only pldns answer for it"
	case f.Kind == AliasLeft:
		return fmt.Sprintf("%s leaves the private path at %s and goes on%s: the answer is public, because no endpoint of this name is "+
				"mapped in this network", server, f.At, next),
			network
	case f.Kind == NoAlias && len(known) > 0:
		return fmt.Sprintf("%s loses the alias at %s: it goes on%s, though it knows %s as %s", server, f.At, next, f.Alias, list(known)),
			"it asks about the public zone elsewhere: forward the public zone, not only the privatelink zone, to pldns"
	case f.Kind == NoAlias:
		return fmt.Sprintf("%s answers without the privatelink alias at %s: the answer is public, because no endpoint is mapped in "+
				"this network and the public has no approved one, or because this server drops the alias", server, f.At),
			network + "; if it is not pldns, name pldns with --server"
	default:
		return fmt.Sprintf("%s answers publicly, and no name of the chain is one of Azure Private Link", server),
			fmt.Sprintf("map %s in the configuration if it is to be private", name)
	}
}

// toServer is how a client of an operating system is pointed at the server.
func toServer(goos string, name zones.Name, server netip.AddrPort) string {
	vnet := fmt.Sprintf("set the custom DNS servers of the VNet to %s, download the VPN profile again and import it", server.Addr())
	switch goos {
	case "windows":
		return fmt.Sprintf("compare with Resolve-DnsName %s -DnsOnly and Get-DnsClientNrptPolicy (nslookup does not know the NRPT and "+
			"misleads); %s; then Clear-DnsClientCache and look at the hosts file", name, vnet)
	case "darwin":
		return fmt.Sprintf("look at scutil --dns (nslookup and dig read only /etc/resolv.conf and mislead); %s; then dscacheutil "+
			"-flushcache and look at /etc/hosts", vnet)
	default:
		return fmt.Sprintf("%s, or name it in /etc/resolv.conf or for the link in systemd-resolved; then flush caches and look at "+
			"/etc/hosts", vnet)
	}
}
