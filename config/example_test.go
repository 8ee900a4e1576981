package config_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing/fstest"

	"pldns/config"
	"pldns/zones"
)

// A document gives checked values, and the table that queries are answered from.
func ExampleParse() {
	c, err := config.Parse("pldns.toml", []byte(`
[networks.europe]
clients = ["10.0.0.0/16"]
hosts = ["europe.hosts"]
`), fstest.MapFS{"europe.hosts": {Data: []byte("10.0.1.4 mydb.database.windows.net\n")}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for e := range c.Networks[0].Endpoints() {
		fmt.Println(e.Name, e.Private, e.Addresses, e.Place)
	}
	match, _ := c.Table.NetworkFor(zones.NewClient(netip.MustParseAddr("10.0.7.9"), netip.AddrPort{}))
	fmt.Println(match.Network.Name())
	// Output:
	// mydb.database.windows.net mydb.privatelink.database.windows.net [10.0.1.4] europe.hosts:1
	// europe
}

// All faults are told at once, each with its place and what to do.
func ExampleParse_problems() {
	_, err := config.Parse("pldns.toml", []byte("[networks.europe]\nclients = [\"10.0.0.0/33\"]\ncolour = 1\n"), nil)
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			fmt.Println(p.Line, p.Key, p.Remedy)
		}
	}
	// Output:
	// 2 networks.europe.clients[0] write a length from 0 to 32, as in "10.0.0.0/16"
	// 3 networks.europe.colour remove it; the keys here are clients, listeners, server_names, link_ids, certificates, doh_paths, include, hosts, missing, limit, forward, endpoints, zones, azure, designated, dns64, dns64_exclude, require_private, policy and catalogs
}
