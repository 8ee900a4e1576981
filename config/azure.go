package config

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"pldns/zones/azure"
)

// Azure is a tenant and cloud whose endpoints are learned: one table [azure.NAME].
type Azure struct {
	Name     string
	Identity Identity
	ClientID string // of a user-assigned or federated identity; empty for the only one there is
	Tenant   string // whose identity it is, and whose listing State may hold; empty for any
	// Scopes are ids of management groups, and of subscriptions in lower case.
	Scopes []string
	// Every is the time from one listing to the next, Deadline bounds one listing.
	Every, Deadline time.Duration
	State           string // the file of the last good listing
	Cloud           azure.Cloud
	// Endpoint and Authority are the addresses of Resource Manager and of the identity
	// platform, empty for those of Cloud.
	Endpoint, Authority string
	CA                  string // the file that Roots has more authorities from; empty for none
	// Roots sign the certificates of both addresses; nil stands for those of the system.
	Roots *x509.CertPool
	// Network is the network by whose table and upstreams the two addresses are
	// resolved; empty for the upstreams of the top-level forward table.
	Network string
}

// AzureFiles are the files of authorities that were read.
func (c *Config) AzureFiles() []string {
	var files []string
	for _, a := range c.Azure {
		if a.CA != "" {
			files = append(files, a.CA)
		}
	}
	return files
}

// Identity is where a token comes from.
type Identity string

// The identities.
const (
	ManagedIdentity     Identity = "managed"     // of the machine, the container or, by Azure Arc, a server elsewhere
	WorkloadIdentity    Identity = "workload"    // a federated token, as in Kubernetes
	EnvironmentIdentity Identity = "environment" // a secret or certificate that environment variables name
	CLIIdentity         Identity = "cli"         // whoever is logged in with the Azure command line
)

// Discovery says what a network learns from Azure.
type Discovery struct {
	// From are the tables [azure.NAME] that it learns from, sorted.
	From []string
	// VNets are ids of VNets, in lower case.
	VNets []string
	// Tagged takes the endpoints that have a tag "pldns" with the network's name, too.
	Tagged bool
	See    See
	// Clients takes the address spaces of the VNets, of VNets peered with them and of
	// point-to-site clients as the clients of the network.
	Clients bool
}

// See is what of Azure a network sees.
type See string

// What a network may see.
const (
	SeeEndpoints See = "endpoints" // private endpoints, by their network interfaces
	SeeLinks     See = "links"     // what Azure DNS answers, by linked zones and their records
)

const (
	defaultEvery         = time.Minute
	minEvery             = time.Second
	maxEvery             = 24 * time.Hour
	seldomEnough         = 15 * time.Second // what Resource Graph's quota bears besides other users of the identity
	defaultAzureDeadline = 4 * time.Minute  // the metadata service may take 97 s, and 10,000 endpoints take one
	minAzureDeadline     = time.Second
	maxAzureDeadline     = time.Hour
)

var (
	subscriptionScope = regexp.MustCompile(`^/subscriptions/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	groupScope        = regexp.MustCompile(`^/providers/microsoft\.management/managementgroups/[^/?#\s]+$`)
	vnetID            = regexp.MustCompile(`^/subscriptions/[^/\s]+/resourcegroups/[^/\s]+` +
		`/providers/microsoft\.network/virtualnetworks/[^/\s]+$`)
	guid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

// canonicalID is an id of Azure, which has no letter case.
func canonicalID(text string) string { return strings.ToLower(strings.TrimRight(text, "/")) }

// azures reads the tables [azure.NAME].
func (l *loader) azures(root table, files files) {
	t, _ := root.sub("azure")
	l.labelled(t, "a source", func(name string, inner table) {
		l.config.Azure = append(l.config.Azure, l.azure(name, inner, files))
		l.azurePlaces = append(l.azurePlaces, inner.here())
	})
}

func (l *loader) azure(name string, t table, files files) Azure {
	t.only("identity", "client_id", "tenant", "scopes", "every", "deadline", "state", "cloud", "endpoint", "authority", "ca", "network")
	a := Azure{
		Name: name, Identity: ManagedIdentity, Cloud: azure.Public,
		Every:    t.duration("every", defaultEvery, minEvery, maxEvery),
		Deadline: t.duration("deadline", defaultAzureDeadline, minAzureDeadline, maxAzureDeadline),
	}
	if a.Every < seldomEnough {
		l.rep.warn(t.place("every"), faultf(`write "15s" or more`,
			"each listing takes 7 queries or more, and Resource Graph allows an identity 15 in 5 seconds, over all who use it"))
	}
	if text, given := t.text("identity", string(ManagedIdentity)); given {
		a.Identity = Identity(text)
		if !slices.Contains([]Identity{ManagedIdentity, WorkloadIdentity, EnvironmentIdentity, CLIIdentity}, a.Identity) {
			l.rep.add(t.place("identity"), faultf(`write "managed", "workload", "environment" or "cli"`, "%q is no identity", text))
		}
	}
	if text, given := t.text("cloud", "usgov"); given {
		a.Cloud = azure.Cloud(text)
		if !slices.Contains([]azure.Cloud{azure.Public, azure.USGov, azure.China}, a.Cloud) {
			l.rep.add(t.place("cloud"), faultf(`write "public", "usgov" or "china"`, "%q is no Azure cloud", text))
		}
	}
	a.ClientID, a.Tenant = l.guid(t, "client_id"), l.guid(t, "tenant")
	if a.ClientID != "" && (a.Identity == EnvironmentIdentity || a.Identity == CLIIdentity) {
		const remedy = `remove it, or write identity = "managed" or "workload"`
		l.rep.add(t.place("client_id"), faultf(remedy, "identity = %q has no client_id here", a.Identity))
	}
	a.Scopes = l.scopes(t)
	a.Endpoint = l.httpsURL(t, "endpoint", "https://management.azure.com")
	a.Authority = l.httpsURL(t, "authority", "https://login.microsoftonline.com")
	a.Network, _ = t.text("network", "hub")
	l.azureFiles(&a, t, files)
	return a
}

// azureFiles reads what names files.
func (l *loader) azureFiles(a *Azure, t table, files files) {
	const example = "/var/lib/pldns/corp.json"
	switch state, given := t.text("state", example); {
	case given && state != "":
		a.State = files.path(state)
	case given || !t.has("state"):
		l.rep.add(t.here(), faultf(fmt.Sprintf("add state = %q, a file that this user can write", example),
			"has no state: without the last good listing on disk, a start while Azure is away would serve nothing"))
	}
	a.Roots = l.authorities(t, "ca", "azure-ca.pem", "the certificates of endpoint and authority", &a.CA, files, systemRoots)
}

// guid reads an id of the identity platform.
func (l *loader) guid(t table, key string) string {
	text, given := t.text(key, "00000000-0000-0000-0000-000000000000")
	text = strings.ToLower(text)
	if given && !guid.MatchString(text) {
		l.rep.add(t.place(key), faultf(`write the id, such as "6f1c2a9e-0b7d-4c55-9d1e-2f3a4b5c6d7e"`, "%q is no id", text))
	}
	return text
}

// scopes reads where endpoints are looked for.
func (l *loader) scopes(t table) (scopes []string) {
	const example = "/providers/Microsoft.Management/managementGroups/corp"
	entries, ok := t.texts("scopes", example)
	if !t.has("scopes") || ok && len(entries) == 0 {
		remedy := fmt.Sprintf("add scopes = [%q], or subscriptions such as \"/subscriptions/ID\"", example)
		l.rep.add(t.here(), &fault{"has no scopes", remedy})
	}
	for _, e := range entries {
		scope := canonicalID(e.text)
		switch {
		case guid.MatchString(scope):
			l.rep.add(e.place, faultf(fmt.Sprintf("write %q", "/subscriptions/"+scope), "%q is no scope", e.text))
		case !subscriptionScope.MatchString(scope) && !groupScope.MatchString(scope):
			l.rep.add(e.place, faultf(fmt.Sprintf("write %q or \"/subscriptions/ID\"", example),
				"%q is no management group and no subscription", e.text))
		case slices.ContainsFunc(scopes, func(other string) bool { return canonicalID(other) == scope }):
			l.rep.add(e.place, alreadyFault(e.text))
		case groupScope.MatchString(scope):
			scopes = append(scopes, strings.TrimRight(e.text, "/")) // nothing says that its name has no letter case
		default:
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// httpsURL reads an address to which tokens are sent.
func (l *loader) httpsURL(t table, key, example string) string {
	text, given := t.text(key, example)
	if !given {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		l.rep.add(t.place(key), faultf(fmt.Sprintf("write a URL such as %q", example), "%q is no HTTPS address", text))
	}
	return strings.TrimRight(text, "/")
}

// discovery reads what a network learns from Azure.
func (l *loader) discovery(parent table, draft *networkDraft) {
	t, given := parent.sub("azure")
	if !given {
		return
	}
	if draft.Azure != nil {
		l.rep.add(t.here(), &fault{"stands in two files", "keep one of the two"})
		return
	}
	t.only("from", "vnets", "tagged", "see", "clients")
	d := &Discovery{See: SeeEndpoints, Tagged: t.boolean("tagged", false), Clients: t.boolean("clients", false)}
	draft.Azure, draft.azurePlace = d, t.here()
	if text, given := t.text("see", string(SeeEndpoints)); given {
		if d.See = See(text); d.See != SeeEndpoints && d.See != SeeLinks {
			l.rep.add(t.place("see"), faultf(`write "endpoints" or "links"`, "%q is nothing that can be seen", text))
		}
	}
	vnets, vnetsOK := t.texts("vnets", exampleVNet)
	d.VNets, _ = distinct(l.rep, vnets, func(text string) (id string, f *fault) {
		if id = canonicalID(text); !vnetID.MatchString(id) {
			f = faultf(fmt.Sprintf("write the whole id, such as %q", exampleVNet), "%q is no id of a VNet", text)
		}
		return id, f
	})
	switch {
	case len(vnets) > 0 || t.has("vnets") && !vnetsOK:
	case !d.Tagged:
		remedy := fmt.Sprintf("add vnets = [%q], or tagged = true for endpoints with the tag pldns = %q", exampleVNet, draft.Name)
		l.rep.add(t.here(), &fault{"names no VNet", remedy})
	case d.Clients || d.See == SeeLinks:
		remedy := fmt.Sprintf("add vnets = [%q]", exampleVNet)
		l.rep.add(t.here(), &fault{`clients and see = "links" are about VNets, and it names none`, remedy})
	}
	if d.Tagged && d.See == SeeLinks {
		l.rep.add(t.place("tagged"), &fault{`is about endpoints, and see = "links" is about zones`, "remove one of the two"})
	}
	from, _ := t.texts("from", "corp")
	for _, e := range from {
		d.From = append(d.From, e.text)
	}
	draft.azureFrom = from
}

const exampleVNet = "/subscriptions/6f1c2a9e-0b7d-4c55-9d1e-2f3a4b5c6d7e/resourceGroups/hub" +
	"/providers/Microsoft.Network/virtualNetworks/hub-weu"

// finishAzure holds the tables and what networks learn of them against each other.
func (l *loader) finishAzure() {
	names := make([]string, len(l.config.Azure))
	states := make(map[string]string)
	for i, a := range l.config.Azure {
		names[i] = a.Name
		if other := states[a.State]; other != "" && a.State != "" {
			l.rep.add(l.azurePlaces[i].below("state"), faultf("give each a file of its own", "is the state of %s, too", other))
		}
		states[a.State] = a.Name
		if a.Network != "" && l.drafts[a.Network] == nil {
			l.rep.add(l.azurePlaces[i].below("network"), faultf("write the name of a network", "network %q is not defined", a.Network))
		}
	}
	for _, draft := range l.drafts {
		if draft.Azure != nil {
			l.finishDiscovery(draft, names)
		}
	}
}

func (l *loader) finishDiscovery(draft *networkDraft, names []string) {
	for _, e := range draft.azureFrom {
		remedy := fmt.Sprintf("define [%s], or write the name of one that is", join("azure", e.text))
		switch {
		case slices.Contains(names, e.text):
		case !e.place.Released():
			l.rep.add(e.place, faultf(remedy, "[azure.%s] is not defined", e.text))
		case !l.anywhere && !l.config.Store.Elects(): // else another machine of the fleet lists it, and publishes that
			l.rep.warn(e.place, faultf(remedy, "nothing is learned from [azure.%s], which this machine does not define", e.text))
		}
	}
	switch {
	case len(names) == 0 && draft.azurePlace.Released():
		if draft.azureFrom == nil && !l.anywhere {
			l.rep.warn(draft.azurePlace, &fault{"nothing is learned: it does not say which [azure.NAME] from, and the machine has none",
				`add from = ["NAME"], or define it`})
		}
	case len(names) == 0:
		l.rep.add(draft.azurePlace, &fault{"there is nothing to learn from", "define [azure.NAME] with its identity and scopes"})
	case draft.azureFrom == nil && draft.Azure.Tagged && len(names) > 1:
		// Whoever may tag in one tenant must not name mappings of another's network.
		l.rep.add(draft.azurePlace, faultf(fmt.Sprintf("add from = [%q], the one whose tags count", names[0]),
			"tagged needs from where there are several [azure.NAME]"))
	case draft.azureFrom == nil:
		draft.Azure.From = names
	}
	slices.Sort(draft.Azure.From)
}
