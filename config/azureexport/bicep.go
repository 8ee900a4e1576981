package azureexport

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// bicep writes the zones as a template for a resource group.
func bicep(plan *Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, `// The private DNS zones of network %s, with their records and links.
//
// Apply   az deployment group create --resource-group my-group --template-file FILE \
//           --parameters virtualNetworkIds='["/subscriptions/.../virtualNetworks/my-vnet"]'
// Test    az network private-dns record-set list --resource-group my-group --zone-name ZONE
// Remove  az group delete --name my-group
//
// Zones of one name are told apart by their resource group: use a group for each network.

@description('Resource ids of the virtual networks that are answered from the zones.')
param virtualNetworkIds array
`, plan.Network)
	for i, zone := range plan.Zones {
		bicepZone(&b, fmt.Sprintf("zone%d", i), zone)
	}
	return b.String()
}

func bicepZone(b *strings.Builder, symbol string, zone Zone) {
	fmt.Fprintf(b, `
resource %s 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: %s
  location: 'global'
}

resource %[1]sLink 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for id in virtualNetworkIds: {
  parent: %[1]s
  name: 'pldns-${uniqueString(id)}'
  location: 'global'
  properties: {
    virtualNetwork: { id: id }
    registrationEnabled: false
    resolutionPolicy: %[3]s
  }
}]
`, symbol, bicepQuote(zone.Name.String()), bicepQuote(resolutionPolicy(zone)))
	for i, set := range zone.Sets {
		qtype := dns.TypeToString[set.Type]
		fmt.Fprintf(b, `
resource %sSet%d 'Microsoft.Network/privateDnsZones/%s@2024-06-01' = {
  parent: %[1]s
  name: %[4]s
  properties: {
    ttl: %[5]d
    %[6]s
  }
}
`, symbol, i, qtype, bicepQuote(set.Name), set.TTL, bicepRecords(set))
	}
}

// resolutionPolicy is what a link does with names that the zone lacks.
func resolutionPolicy(zone Zone) string {
	if zone.Fallback {
		return "NxDomainRedirect"
	}
	return "Default"
}

// bicepRecords is the property of a record set that holds its records.
func bicepRecords(set Set) string {
	if cname, is := set.Records[0].(*dns.CNAME); is {
		return "cnameRecord: { cname: " + bicepQuote(hostOf(cname.Target)) + " }"
	}
	items := make([]string, len(set.Records))
	for i, rr := range set.Records {
		items[i] = bicepRecord(rr)
	}
	property := strings.ToLower(dns.TypeToString[set.Type]) + "Records"
	return property + ": [\n      " + strings.Join(items, "\n      ") + "\n    ]"
}

func bicepRecord(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.A:
		return "{ ipv4Address: " + bicepQuote(rr.A.String()) + " }"
	case *dns.AAAA:
		return "{ ipv6Address: " + bicepQuote(rr.AAAA.String()) + " }"
	case *dns.MX:
		return fmt.Sprintf("{ preference: %d, exchange: %s }", rr.Preference, bicepQuote(hostOf(rr.Mx)))
	case *dns.PTR:
		return "{ ptrdname: " + bicepQuote(hostOf(rr.Ptr)) + " }"
	case *dns.SRV:
		return fmt.Sprintf("{ priority: %d, weight: %d, port: %d, target: %s }", rr.Priority, rr.Weight, rr.Port,
			bicepQuote(hostOf(rr.Target)))
	case *dns.TXT:
		texts := make([]string, len(rr.Txt))
		for i, text := range rr.Txt {
			texts[i] = bicepQuote(plainText(text))
		}
		return "{ value: [" + strings.Join(texts, ", ") + "] }"
	}
	return ""
}

// hostOf is a target as Azure has it: without a final dot.
func hostOf(target string) string { return strings.TrimSuffix(target, ".") }

// bicepQuote writes a string of Bicep.
func bicepQuote(text string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range text {
		switch {
		case r == '\'' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '$':
			b.WriteString(`\$`) // before a brace it would begin an expression
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('\'')
	return b.String()
}
