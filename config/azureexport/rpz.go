package azureexport

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
)

// rpz writes the names as a response policy zone: a master file whose names are
// relative to whatever zone it is loaded as. A name with records there has no
// others, as here. Zones that deny the names that they lack do so by a wildcard
// whose CNAME is the root.
func rpz(plan *Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, `; The endpoints of network %s, as a response policy zone. Names have no final dot: they are relative to the zone.
$TTL 10
@ 3600 IN SOA localhost. nobody.invalid. 1 3600 300 2419200 10
@ 3600 IN NS localhost.
`, plan.Network)
	written := make(map[zones.Name]bool)
	for _, name := range plan.Names {
		written[name.Name] = true
		for _, addr := range name.Addresses {
			rr := addressRecord(name.Name, addr, name.TTL)
			fmt.Fprintf(&b, "%s %d IN %s %s\n", name.Name, name.TTL, dns.TypeToString[rr.Header().Rrtype], addr)
		}
	}
	for _, zone := range plan.Zones {
		rpzZone(&b, zone, written)
	}
	for _, rr := range plan.Others {
		rpzRecord(&b, zones.NameOf(rr.Header().Name), rr.Header().Ttl, rr)
	}
	return b.String()
}

func rpzRecord(b *strings.Builder, owner zones.Name, ttl uint32, rr dns.RR) {
	data := strings.TrimPrefix(rr.String(), rr.Header().String())
	fmt.Fprintf(b, "%s %d IN %s %s\n", owner, ttl, dns.TypeToString[rr.Header().Rrtype], data)
}

// rpzZone writes what the names that clients ask for do not say of a zone.
func rpzZone(b *strings.Builder, zone Zone, written map[zones.Name]bool) {
	for _, set := range zone.Sets {
		owner := ownerOf(zone, set)
		if written[owner] {
			continue
		}
		for _, rr := range set.Records {
			rpzRecord(b, owner, set.TTL, rr)
		}
	}
	if wildcard := zone.Name.Under("*"); zone.Denies && !written[wildcard] {
		fmt.Fprintf(b, "%s 10 IN CNAME .\n", wildcard)
	}
}
