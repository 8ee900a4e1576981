package zones_test

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"

	"pldns/zones"
)

// hub is a network with one private endpoint.
func hub(name string) zones.NetworkSpec {
	return zones.NetworkSpec{
		Name:    name,
		Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")},
		Endpoints: []zones.Endpoint{{
			Name:    zones.MustName("mydb.database.windows.net"),
			Private: zones.MustName("mydb.privatelink.database.windows.net"),
			Zone:    zones.MustName("privatelink.database.windows.net"),
			TTL:     zones.DefaultTTL, Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.4")},
		}},
	}
}

// A table says which network a client belongs to.
func ExampleBuild() {
	table, err := zones.Build([]zones.NetworkSpec{hub("europe")})
	if err != nil {
		fmt.Println(err)
		return
	}
	match, found := table.NetworkFor(zones.NewClient(netip.MustParseAddr("10.0.7.9"), netip.AddrPort{}))
	fmt.Println(match.Network.Name(), match.Prefix, found)
	// Output: europe 10.0.0.0/16 true
}

// What cannot be one table is told as values: who, with whom, and what.
func ExampleBuild_clashes() {
	_, err := zones.Build([]zones.NetworkSpec{hub("europe"), hub("asia")})
	var clashes zones.Clashes
	if errors.As(err, &clashes) {
		for _, clash := range clashes {
			fmt.Println(clash.Network, clash.Others, clash.Prefix, clash.Kind == zones.SameClients)
		}
	}
	// Output: asia [europe] 10.0.0.0/16 true
}

// A mapped name is an alias of its private name, at which the addresses stand.
func ExampleNetwork_Lookup() {
	table, err := zones.Build([]zones.NetworkSpec{hub("europe")})
	if err != nil {
		fmt.Println(err)
		return
	}
	network := table.Networks()[0]
	for _, name := range []string{"mydb.database.windows.net", "mydb.privatelink.database.windows.net", "other.database.windows.net"} {
		result := network.Lookup(zones.MustName(name), dns.TypeA)
		fmt.Printf("%s: %s\n", name, result.Kind)
	}
	// Output:
	// mydb.database.windows.net: alias
	// mydb.privatelink.database.windows.net: records
	// other.database.windows.net: not ours
}
