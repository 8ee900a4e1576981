package clientconfig

import (
	"encoding/xml"
	"fmt"
)

// vpnClient is the element that holds the DNS settings of an Azure VPN profile.
// The client wants its parts in this order, and only one of it.
type vpnClient struct {
	XMLName  xml.Name `xml:"clientconfig"`
	Suffixes []string `xml:"dnssuffixes>dnssuffix"`
	Servers  []string `xml:"dnsservers>dnsserver"`
}

// vpnNotes is the comment before the element. It holds nothing of the settings,
// because XML allows no two hyphens in a comment, and names may have them.
const vpnNotes = `<!--
  DNS settings of the Azure VPN client (point to site): the zones that pldns has in use.

  Apply   Download the profile again if the gateway has changed since, open azurevpnconfig.xml,
          and put this element in the place of its clientconfig element, which is
          <clientconfig i:nil="true" /> unless something was set before. There must be only
          one: the client on macOS refuses a file with two. Keep what else the old one held,
          such as includeroutes. Then import the file in the client, or on Windows copy it to
          %userprofile%\AppData\Local\Packages\Microsoft.AzureVpn_8wekyb3d8bbwe\LocalState
          and run: azurevpn -i azurevpnconfig.xml -f
          Every user imports it again after each change.
  Needs   The resolver must be reachable through the tunnel, and so must the private endpoints:
          their prefixes must be routes of the gateway, or stand in includeroutes.
          The address pool of the VPN must be among the clients of the network.
  Test    Connected, on Windows: Resolve-DnsName NAME -DnsOnly
          and Get-DnsClientNrptPolicy. Do not use nslookup: it does not look at the policy
          table that the client fills, asks another server and shows public addresses.
          On macOS: dscacheutil -q host -a name NAME
  Remove  Put <clientconfig i:nil="true" /> back and import again.

  Public zones are listed, not privatelink zones: the client takes the answer as it is, alias
  and address together. A suffix begins with a dot; a name without one is that name alone.
-->
`

// azureVPN writes the element for azurevpnconfig.xml.
func azureVPN(s Settings) ([]byte, error) {
	view := newPage(profile{}, s)
	element := vpnClient{Suffixes: view.Namespaces()}
	for _, server := range view.Servers {
		element.Servers = append(element.Servers, server.Addr.String())
	}
	text, err := xml.MarshalIndent(element, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the configuration of %s: %w", AzureVPN, err)
	}
	return append(append([]byte(vpnNotes), text...), '\n'), nil
}

// Namespaces are the zones as a name resolution policy table has them: what begins
// with a dot is all names below, what does not is the name itself.
func (p page) Namespaces() []string {
	var spaces []string
	for _, zone := range p.Zones {
		if zone.Apex {
			spaces = append(spaces, zone.Name.String())
		}
		if zone.Below {
			spaces = append(spaces, "."+zone.Name.String())
		}
	}
	return spaces
}
