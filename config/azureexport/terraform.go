package azureexport

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// terraform writes the zones as a configuration for the provider azurerm.
func terraform(plan *Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# The private DNS zones of network %s, with their records and links.
#
# Apply   terraform apply -var resource_group_name=my-group \
#           -var 'virtual_network_ids={ my-vnet = "/subscriptions/.../virtualNetworks/my-vnet" }'
# Test    az network private-dns record-set list --resource-group my-group --zone-name ZONE
# Remove  terraform destroy
#
# Zones of one name are told apart by their resource group: use a group for each network.

terraform {
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.0" # a release that has resolution_policy
    }
  }
}

variable "resource_group_name" {
  description = "The resource group of the zones."
  type        = string
}

variable "virtual_network_ids" {
  description = "Resource ids of the virtual networks that are answered from the zones, each with a name for its links."
  type        = map(string)
}
`, plan.Network)
	for i, zone := range plan.Zones {
		terraformZone(&b, fmt.Sprintf("zone%d", i), zone)
	}
	return b.String()
}

func terraformZone(b *strings.Builder, symbol string, zone Zone) {
	fmt.Fprintf(b, `
resource "azurerm_private_dns_zone" "%s" {
  name                = %s
  resource_group_name = var.resource_group_name
}

resource "azurerm_private_dns_zone_virtual_network_link" "%[1]s" {
  for_each              = var.virtual_network_ids
  name                  = each.key
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.%[1]s.name
  virtual_network_id    = each.value
  registration_enabled  = false
  resolution_policy     = %[3]s
}
`, symbol, hclQuote(zone.Name.String()), hclQuote(resolutionPolicy(zone)))
	for i, set := range zone.Sets {
		fmt.Fprintf(b, `
resource "azurerm_private_dns_%s_record" "%s_%d" {
  name                = %s
  zone_name           = azurerm_private_dns_zone.%[2]s.name
  resource_group_name = var.resource_group_name
  ttl                 = %[5]d
%[6]s}
`, strings.ToLower(dns.TypeToString[set.Type]), symbol, i, hclQuote(set.Name), set.TTL, hclRecords(set))
	}
}

// hclRecords are the records of a set: a list, or a block for each.
func hclRecords(set Set) string {
	var list []string
	var blocks strings.Builder
	for _, rr := range set.Records {
		switch rr := rr.(type) {
		case *dns.A:
			list = append(list, hclQuote(rr.A.String()))
		case *dns.AAAA:
			list = append(list, hclQuote(rr.AAAA.String()))
		case *dns.PTR:
			list = append(list, hclQuote(hostOf(rr.Ptr)))
		case *dns.CNAME:
			fmt.Fprintf(&blocks, "  record              = %s\n", hclQuote(hostOf(rr.Target)))
		case *dns.MX:
			fmt.Fprintf(&blocks, "  record {\n    preference = %d\n    exchange   = %s\n  }\n", rr.Preference, hclQuote(hostOf(rr.Mx)))
		case *dns.SRV:
			fmt.Fprintf(&blocks, "  record {\n    priority = %d\n    weight   = %d\n    port     = %d\n    target   = %s\n  }\n",
				rr.Priority, rr.Weight, rr.Port, hclQuote(hostOf(rr.Target)))
		case *dns.TXT:
			fmt.Fprintf(&blocks, "  record {\n    value = %s\n  }\n", hclQuote(plainText(strings.Join(rr.Txt, ""))))
		}
	}
	if len(list) > 0 {
		return "  records             = [" + strings.Join(list, ", ") + "]\n"
	}
	return blocks.String()
}

// hclQuote writes a string of HCL.
func hclQuote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case (r == '$' || r == '%') && strings.HasPrefix(text[i+1:], "{"):
			b.WriteRune(r)
			b.WriteRune(r) // one begins a template
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// plainText is a character string of a record without the escapes of its
// presentation (RFC 1035 section 5.1). Octets that are no ASCII become the
// characters with these numbers, as Azure has no other way to hold them.
func plainText(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '\\' || i+1 == len(text) {
			b.WriteRune(rune(c))
			continue
		}
		if digits := text[i+1:]; len(digits) >= 3 && isDigit(digits[0]) && isDigit(digits[1]) && isDigit(digits[2]) {
			b.WriteRune(rune(digits[0]-'0')*100 + rune(digits[1]-'0')*10 + rune(digits[2]-'0'))
			i += 3
			continue
		}
		i++
		b.WriteRune(rune(text[i]))
	}
	return b.String()
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
