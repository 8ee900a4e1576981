package azureimport

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Split is how an export is divided into networks.
type Split uint8

// The ways to divide an export.
const (
	Whole    Split = iota // one network, without a name
	ByVNet                // a network for each VNet
	BySubnet              // a network for each subnet
)

// maxNetworkName is how long the name of a network may be in a configuration.
const maxNetworkName = 63

// placeOf is the id, in lower case, of the VNet or subnet that an endpoint is in;
// empty when the export does not tell.
func placeOf(p *endpoint, split Split) string {
	id := strings.ToLower(p.subnet)
	vnet, _, found := cutFold(id, "/subnets/")
	switch {
	case split == Whole || !found:
		return ""
	case split == ByVNet:
		return vnet
	}
	return id
}

// networkNames names every VNet or subnet of the export, by id. Where two have one
// name, both get their resource group too, and the subscription if need be: the
// names depend on the ids alone, never on the order of the files.
func (e *Export) networkNames(split Split) map[string]string {
	if split == Whole {
		return map[string]string{"": ""}
	}
	names := make(map[string]string)
	for _, p := range e.endpoints {
		if place := placeOf(p, split); place != "" {
			names[place] = ""
		}
	}
	taken := make(map[string]bool)
	open := slices.Collect(maps.Keys(names))
	for detail := 0; len(open) > 0; detail++ {
		count := make(map[string]int)
		for _, id := range open {
			names[id] = networkName(id, detail)
			count[names[id]]++
		}
		settled := func(id string) bool { return count[names[id]] == 1 && !taken[names[id]] }
		var still []string
		for _, id := range open {
			if !settled(id) {
				still = append(still, id)
			}
		}
		for _, id := range open {
			if count[names[id]] == 1 {
				taken[names[id]] = true
			}
		}
		open = still
	}
	return names
}

// networkName is the name of a VNet or subnet, in more detail where a shorter one
// is taken. From the third detail on, it holds a digest of the id, and is unique.
func networkName(id string, detail int) string {
	parts := []string{part(id, "virtualNetworks")}
	if subnet := part(id, "subnets"); subnet != "" {
		parts = append(parts, subnet)
	}
	if detail >= 1 {
		parts = append(parts, part(id, "resourceGroups"))
	}
	if subscription := part(id, "subscriptions"); detail >= 2 {
		parts = append(parts, subscription[:min(8, len(subscription))])
	}
	name := strings.Map(func(r rune) rune {
		if isHostRune(r) {
			return r
		}
		return '-'
	}, strings.Join(parts, "-"))
	if detail < 3 && strings.Trim(name, "-") != "" && len(name) <= maxNetworkName {
		return name
	}
	digest := sha256.Sum256([]byte(id))
	suffix := hex.EncodeToString(digest[:4])
	if detail > 3 {
		suffix = hex.EncodeToString(digest[:])[:8+min(4*(detail-3), 32)]
	}
	return fmt.Sprintf("%s-%s", name[:min(len(name), maxNetworkName-len(suffix)-1)], suffix)
}
