package azure

import (
	_ "embed" // for the data file
	"fmt"
	"slices"
	"strings"

	"pldns/zones"
)

//go:embed resources.csv
var resourcesCSV string // never assigned: the embed directive wants a variable

const resourcesHeader = "resource_type,subresource,host,wildcard,source"

// placeholderResource stands for the name of a resource.
const placeholderResource = "{resource}"

// resource is what the names of a service have to do with the name of its
// resource.
type resource struct {
	kind, subresource string
	host              string  // with placeholderResource; empty where names are not known by it
	wildcard          pattern // of what stands between a customer's "*" and the zone; nil for none
}

// readResources reads the resource types.
func readResources(text string) ([]resource, error) {
	records, err := readFile("resource types", text, resourcesHeader)
	if err != nil {
		return nil, err
	}
	resources := make([]resource, 0, len(records))
	for _, fields := range records {
		r := resource{kind: fields[0], subresource: fields[1], host: fields[2]}
		if fields[3] != "" {
			r.wildcard, err = parsePattern(fields[3])
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("read the resource types: %s %s: %w", r.kind, r.subresource, err)
		case r.host != "" && !strings.Contains(r.host, placeholderResource), r.host == "" && r.wildcard == nil, fields[4] == "":
			return nil, fmt.Errorf("read the resource types: %s %s says nothing, or has no source", r.kind, r.subresource)
		}
		resources = append(resources, r)
	}
	return resources, nil
}

// ResourceNames are the public names that a resource has for a subresource (the
// "group id" of its private endpoints), where these are known by the name of the
// resource alone: all of them, one for each private name. There are none where a
// name holds a region, a hash or anything else that only Azure can tell.
func (c *Catalogue) ResourceNames(cloud Cloud, resourceType, subresource, name string) []zones.Name {
	at := slices.IndexFunc(c.resources, func(r resource) bool {
		return r.host != "" && strings.EqualFold(r.kind, resourceType) && strings.EqualFold(r.subresource, subresource)
	})
	if at < 0 || !isHostLabel(strings.ToLower(name)) {
		return nil
	}
	host := strings.ReplaceAll(c.resources[at].host, placeholderResource, name)
	var names []zones.Name
	var private []zones.Name
	for i := range c.entries {
		entry := &c.entries[i]
		if entry.Cloud != cloud || entry.Legacy || !strings.EqualFold(entry.ResourceType, resourceType) ||
			!strings.EqualFold(entry.Subresource, subresource) {
			continue
		}
		for _, zone := range entry.PublicZones {
			public, err := zones.ParseName(host + "." + zone)
			if err != nil {
				return nil
			}
			match, err := c.Derive(public)
			if err != nil {
				return nil
			}
			if !slices.Contains(private, match.Private) {
				names, private = append(names, public), append(private, match.Private)
			}
		}
	}
	return names
}

// IsCustomerWildcard reports whether a wildcard of a privatelink zone stands for
// names of one customer, such as the apps of a Container Apps environment. Any
// other wildcard of such a zone, put into public names, would stand for the
// resources of everybody.
func (c *Catalogue) IsCustomerWildcard(private zones.Name) bool {
	h, ok := c.hold(private)
	if !ok || !private.IsWildcard() || h.name == private {
		return false
	}
	labels := private.Labels()
	between := labels[1 : len(labels)-len(h.name.Labels())]
	return slices.ContainsFunc(c.resources, func(r resource) bool {
		return r.wildcard != nil && strings.EqualFold(r.kind, h.zone.entry.ResourceType) && r.wildcard.matches(between)
	})
}
