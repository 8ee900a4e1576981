package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pldns/config"
	"pldns/zones"
	"pldns/zones/catalogzone"
	"pldns/zones/content"
)

// listing is a catalog with members, one on each line.
func listing(t *testing.T, name, members string) *catalogzone.Catalog {
	t.Helper()
	text := "$ORIGIN " + name + ".\n$TTL 0\n@ SOA . . 1 1 1 1 1\n@ NS invalid.\nversion TXT \"2\"\n" + members
	z, err := content.Read(strings.NewReader(text), zones.MustName(name))
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalogzone.Read(z)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// zonesOf are the copies that networks are answered from, without their ids.
func zonesOf(c *config.Config) (all []string) {
	for i := range c.Networks {
		for _, z := range c.Networks[i].Zones {
			for _, held := range c.Copies {
				if z.Copy == held.ID && z.Copy != "" {
					all = append(all, fmt.Sprintf("%s %s from %s by %s", c.Networks[i].Name, z.Name, held.Primaries[0].Text, held.Catalog))
				}
			}
		}
	}
	return all
}

// Zones that catalogs list are held by the networks that have the catalogs, but where these
// have them themselves; a catalog of which nothing is known lists none.
func TestMembers(t *testing.T) {
	base, err := config.Load(write(t, map[string]string{"pldns.toml": `
[catalogs."a.example"]
from = ["10.20.0.4"]
[catalogs."b.example"]
from = ["10.20.0.5"]
members_from = ["10.20.0.6"]
[networks.europe]
clients = ["10.0.0.0/16"]
[networks.lab]
clients = ["10.1.0.0/16"]
[networks.lab.zones."own.example"]
from = ["10.20.0.8"]
[networks.lab.catalogs."b.example"]
from = ["10.20.0.9"]
`}))
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]*catalogzone.Catalog)
	for _, of := range base.Catalogs {
		switch of.Zone.String() + " " + of.Network {
		case "a.example ":
			known[of.Copy] = listing(t, "a.example", "1.zones PTR both.example.\n2.zones PTR own.example.\n3.zones PTR .\n")
		case "b.example ":
			known[of.Copy] = listing(t, "b.example", "1.zones PTR both.example.\n2.zones PTR second.example.\n")
		}
	}
	made, warnings, err := base.WithMembers(known)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"europe both.example from 10.20.0.4 by a.example", "europe own.example from 10.20.0.4 by a.example", "europe second.example from 10.20.0.6 by b.example",
		"lab both.example from 10.20.0.4 by a.example", "lab own.example from 10.20.0.8 by ",
	}
	if diff := cmp.Diff(want, zonesOf(made)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(zonesOf(base)) != 1 {
		t.Errorf("the configuration without members has %v", zonesOf(base))
	}
	wantWarnings := []string{
		"catalog a.example: member . is the root, and would take the place of all that is forwarded",
		"network lab has a zone own.example of its own: the one that catalog a.example lists is left out",
		"zone both.example is listed by a.example, and so what b.example says of it is left out: give it up there, or write a coo property for it in a.example",
	}
	if diff := cmp.Diff(wantWarnings, warnings); diff != "" {
		t.Errorf("warnings (-want +got)\n%s", diff)
	}
	europe, _ := made.Table.Network("europe")
	if found := europe.Lookup(zones.MustName("www.second.example"), 1); found.Zone.Name.String() != "second.example" {
		t.Errorf("a name of a member is in zone %q", found.Zone.Name)
	}
	before := made.Copies
	known[base.Catalogs[0].Copy] = listing(t, "a.example", "new.zones PTR both.example.\n2.zones PTR own.example.\n")
	if made, _, err = base.WithMembers(known); err != nil {
		t.Fatal(err)
	}
	changed := 0
	for i := range before {
		if made.Copies[i].ID != before[i].ID {
			changed++
		}
	}
	if changed != 1 {
		t.Errorf("with another unique label, %d copies are others", changed)
	}
}
