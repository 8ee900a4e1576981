package share

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"

	"pldns/zones"
)

// Key says whose share a question counts to.
type Key struct {
	Network string       // by name
	Client  netip.Prefix // the addresses that count as one client
	Name    zones.Name   // what is asked; its share is that of its [Suffix]
}

// Suffix is the domain whose servers a name depends on, as far as that can be told
// without asking: the name that somebody registered under a public suffix
// (https://publicsuffix.org), or that a service gives to a customer. So
// mystore.blob.core.windows.net is a suffix of its own, not a part of all of Azure.
// Of reverse names it is what one provider answers for: the first two octets of an
// IPv4 address, the first 32 bits of an IPv6 address.
//
// It allocates at most what [publicsuffix.PublicSuffix] does, and its result is a
// part of the text of name.
func Suffix(name zones.Name) zones.Name {
	text := name.FQDN()
	if len(text) <= 1 {
		return name
	}
	public, _ := publicsuffix.PublicSuffix(text[:len(text)-1])
	suffix := below(name, len(public)+1, 1)
	switch {
	case public == "in-addr.arpa":
		return below(name, len(public)+1, 2)
	case public == "ip6.arpa":
		return below(name, len(public)+1, 8)
	case isShared(public):
		return below(name, len(public)+1, maxCustomerLabels)
	case isShared(suffix.String()):
		return below(name, len(suffix.FQDN()), maxCustomerLabels)
	case strings.HasPrefix(suffix.FQDN(), privatelink) && suffix != name:
		return below(name, len(suffix.FQDN()), 1)
	}
	return suffix
}

const (
	// maxCustomerLabels is how many labels below a domain that many customers share
	// tell them apart: those of the service, its region twice, "privatelink" and the
	// customer's own.
	maxCustomerLabels = 7
	// privatelink is the label below which the private zones of Azure are.
	privatelink = "privatelink."
)

// below is the part of name that has n labels more than the one of its ancestors
// whose text is length octets long, or name itself if it has fewer.
func below(name zones.Name, length, n int) zones.Name {
	labels := 0
	for rest, ok := name, true; ok && len(rest.FQDN()) > length; rest, ok = rest.Parent() {
		labels++
	}
	for ; labels > n; labels-- {
		name, _ = name.Parent()
	}
	return name
}

// isShared tells whether a domain is one below which Azure gives names to its
// customers, and is no public suffix or not for all of them.
func isShared(domain string) bool {
	switch domain {
	case "windows.net", "windows.us", "windows.cn",
		"azure.com", "azure.net", "azure.us", "azure.cn",
		"microsoft.com", "windowsazure.com", "windowsazure.us", "windowsazure.cn",
		"usgovcloudapi.net", "chinacloudapi.cn", "chinacloudsites.cn", "visualstudio.com",
		"azure-api.net", "azure-api.us", "azure-api.cn",
		"azure-automation.net", "azure-automation.us", "azure-automation.cn",
		"azure-devices.net", "azure-devices.us", "azure-devices.cn",
		"azure-devices-provisioning.net", "azure-devices-provisioning.us", "azure-devices-provisioning.cn",
		"azurecr.io", "azurecr.us", "azurecr.cn", "azmk8s.io", "azmk8s.us", "azk8s.cn", "azurecontainerapps.io", "azurecontainerapps.us",
		"azuredatabricks.net", "azurehdinsight.net", "azurehdinsight.us", "azurehdinsight.cn",
		"azurehealthcareapis.com", "azurehealthcareapis.us", "azureiotcentral.com",
		"azureml.ms", "azureml.us", "azureml.cn", "azuresynapse.net", "azuresynapse.us", "azuresynapse.cn",
		"azurewebsites.net", "azurewebsites.us", "azurestaticapps.net", "azconfig.io", "aznbcontent.net",
		"botframework.com", "durabletask.io", "signalr.net", "videoindexer.ai":
		return true
	}
	return false
}
