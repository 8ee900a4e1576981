package resolver_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

// Two networks with an endpoint each for one database: each client gets the address of
// its own network, and one of no network is refused. No upstream is needed for that.
func ExampleResolver_Resolve() {
	database := func(address string) []zones.Endpoint {
		return []zones.Endpoint{{
			Name:    zones.MustName("mydb.database.windows.net"),
			Private: zones.MustName("mydb.privatelink.database.windows.net"), Zone: zones.MustName("privatelink.database.windows.net"),
			TTL: 10, Addresses: []netip.Addr{netip.MustParseAddr(address)},
		}}
	}
	table, err := zones.Build([]zones.NetworkSpec{
		{Name: "europe", Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}, Endpoints: database("10.0.1.4")},
		{Name: "australia", Clients: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, Endpoints: database("10.1.1.5")},
	})
	if err != nil {
		log.Fatal(err)
	}
	snapshot, err := resolver.NewSnapshot(resolver.Options{Table: table})
	if err != nil {
		log.Fatal(err)
	}
	r := resolver.New(snapshot)
	for _, address := range []string{"10.0.0.7", "10.1.0.7", "192.0.2.7"} {
		client := zones.NewClient(netip.MustParseAddr(address), netip.AddrPort{})
		answer := r.Resolve(context.Background(), resolver.NewClientQuery(zones.MustName("mydb.database.windows.net"), dns.TypeA, client))
		fmt.Println(address, dns.RcodeToString[answer.Rcode], answer.Network)
		for _, record := range answer.Records {
			fmt.Println("  ", dns.TypeToString[record.Header().Rrtype], dns.Field(record, 1))
		}
	}
	// Output:
	// 10.0.0.7 NOERROR europe
	//    CNAME mydb.privatelink.database.windows.net.
	//    A 10.0.1.4
	// 10.1.0.7 NOERROR australia
	//    CNAME mydb.privatelink.database.windows.net.
	//    A 10.1.1.5
	// 192.0.2.7 REFUSED
}
