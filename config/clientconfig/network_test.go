package clientconfig_test

import (
	"fmt"
	"strings"
	"testing"

	"pldns/config/clientconfig"
)

// Where clients reach the resolver is read from its listeners, as far as they tell.
func TestServers(t *testing.T) {
	for _, test := range []struct{ name, dns, listeners, network, want string }{
		{"one address", `["10.0.0.4:53"]`, ``, "a", "10.0.0.4:53"},
		{"sorted, several", `["10.0.0.5:53", "10.0.0.4:53", "[2001:db8::4]:53"]`, ``, "a", "10.0.0.4:53 10.0.0.5:53 [2001:db8::4]:53"},
		{"loopback is for nobody else", `["127.0.0.1:53", "[::1]:53", "10.0.0.4:53"]`, ``, "a", "10.0.0.4:53"},
		{"another port", `["10.0.0.4:5353"]`, ``, "a", "10.0.0.4:5353"},
		{"the network's listener", `["10.0.0.4:53", "10.9.0.5:53"]`, `listeners = ["10.9.0.5:53"]`, "b", "10.9.0.5:53"},
		{"not another network's listener", `["10.0.0.4:53", "10.9.0.5:53"]`, `listeners = ["10.9.0.5:53"]`, "a", "10.0.0.4:53"},
		{"a listener that a wildcard opens", `[":53"]`, `listeners = ["10.9.0.5:53"]`, "b", "10.9.0.5:53"},
		{"all networks, one address", `["10.0.0.4:53"]`, ``, "", "10.0.0.4:53"},
		{"wildcard", `[":53"]`, ``, "a", "listen.dns does not tell at which address clients of network a reach the resolver: name it with --server"},
		{"loopback only", `["127.0.0.1:53"]`, ``, "a", "listen.dns does not tell at which address clients of network a reach the resolver: name it with --server"},
		{"all networks, different addresses", `["10.0.0.4:53", "10.9.0.5:53"]`, `listeners = ["10.9.0.5:53"]`, "",
			"networks a and b are reached at different addresses: write one configuration for each with --network, or name the addresses with --server"},
	} {
		t.Run(test.name, func(t *testing.T) {
			loaded := load(t, fmt.Sprintf("[listen]\ndns = %s\n[networks.a]\nclients = [\"10.0.0.0/16\"]\n[networks.b]\nclients = [\"10.1.0.0/16\"]\n%s\n", test.dns, test.listeners))
			networks, err := clientconfig.Networks(loaded, test.network)
			if err != nil {
				t.Fatal(err)
			}
			servers, err := clientconfig.Servers(loaded, networks)
			got := strings.Trim(fmt.Sprint(servers), "[]")
			if len(servers) > 0 {
				got = strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(servers), "["), "]")
			}
			if err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestParseServer(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.4":         "10.0.0.4:53",
		"10.0.0.4:5353":    "10.0.0.4:5353",
		"2001:db8::4":      "[2001:db8::4]:53",
		"[2001:db8::4]":    "[2001:db8::4]:53",
		"[2001:db8::4]:54": "[2001:db8::4]:54",
		"::ffff:10.0.0.4":  "10.0.0.4:53",
		"127.0.0.1":        "127.0.0.1:53",
		"":                 "is no address",
		"dns.contoso.com":  "is no address",
		"10.0.0.4:0":       "is nowhere to send to",
		"0.0.0.0":          "is nowhere to send to",
		"::":               "is nowhere to send to",
		"224.0.0.251":      "is nowhere to send to",
		"fe80::1%eth0":     "means something else on each machine",
		"10.0.0.4:99999":   "is no address",
		"10.0.0.4; id":     "is no address",
	} {
		server, err := clientconfig.ParseServer(text)
		got := server.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// Whatever is named as a server is refused or is an address that can be written
// into a configuration: it has letters, digits, dots and colons only.
func FuzzParseServer(f *testing.F) {
	for _, seed := range []string{"10.0.0.4", "10.0.0.4:5353", "[2001:db8::4]:54", "fe80::1%eth0", "[fe80::1%25;id]:53", "10.0.0.4;id", "", "[]", "::ffff:10.0.0.4"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		server, err := clientconfig.ParseServer(text)
		foreign := func(r rune) bool { return !strings.ContainsRune("0123456789abcdef.:", r) }
		if err == nil && strings.ContainsFunc(server.Addr().String(), foreign) {
			t.Errorf("%q gives %s", text, server)
		}
	})
}
