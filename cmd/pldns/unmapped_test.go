package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/config/azuregraph/graphtest"
	"pldns/resolver/admin"
	"pldns/resolver/resolvertest"
)

// unmapped are the unmapped names of a network, as the command prints them.
func (r *running) unmapped(t *testing.T, network string, args ...string) []admin.UnmappedName {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), append([]string{"unmapped", "--json", "--server", r.admin}, args...), &stdout, &stderr); code > exitNo {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	var all []admin.Unmapped
	if err := json.Unmarshal(stdout.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	for _, of := range all {
		if of.Network == network {
			return of.Unmapped
		}
	}
	return nil
}

// awaitUnmapped waits until a network has so many unmapped names: what a client was told
// is noted just after.
func (r *running) awaitUnmapped(t *testing.T, network string, names int) (all []admin.UnmappedName) {
	t.Helper()
	resolvertest.Until(t, fmt.Sprintf("%d names", names), func() bool {
		all = r.unmapped(t, network)
		return len(all) >= names
	}, &all)
	return all
}

// A private name that is asked for by itself is one name, in lower case, whatever letters
// the client and the upstream write: the upstream writes the owner out as it was asked,
// with the random letters of 0x20. What explain shows is in lower case, too.
func TestUnmappedNameInAnyLetterCase(t *testing.T) {
	upstream := azureDNS(t)
	upstream.Always(resolvertest.Changed(func(reply *dns.Msg) {
		reply.Compress = false
		for _, rr := range reply.Answer {
			rr.Header().Name = strings.ToUpper(rr.Header().Name[:3]) + rr.Header().Name[3:]
		}
		if len(reply.Answer) > 0 {
			reply.Answer[0].Header().Name = reply.Question[0].Name
		}
	}))
	r := start(t, regions("[cache]\nentries = 0\n"+upstreamTable(upstream.Addr)))
	const name = "fabrikam.privatelink.blob.core.windows.net"
	for _, spelling := range []string{name, strings.ToUpper(name), "FabriKam.PrivateLink.blob.core.windows.net"} {
		if got := says(r.ask("udp", australia, spelling, dns.TypeA)); !strings.Contains(string(got), "203.0.113.5") {
			t.Fatalf("%s: %s", spelling, got)
		}
	}
	r.ask("udp", australia, "fabrikam.blob.core.windows.net", dns.TypeA)
	var all []admin.UnmappedName
	resolvertest.Until(t, "one name, four times", func() bool {
		if all = r.unmapped(t, "australia"); len(all) > 1 {
			t.Fatalf("%+v", all)
		}
		return len(all) == 1 && all[0].Count >= 4
	}, &all)
	if u := all[0]; u.Private != name || u.Name != "fabrikam.blob.core.windows.net" || u.Clients != 1 || u.Azure != nil || u.Address != "203.0.113.5" {
		t.Errorf("%+v", u)
	}
	explained := r.get("/api/explain?name=" + name + "&client=" + australia)
	if found := regexp.MustCompile(`(?i)fabrikam[a-z.]*`).FindAllString(explained, -1); len(found) < 2 {
		t.Errorf("explain says %s", explained)
	} else {
		for _, text := range found {
			if text != strings.ToLower(text) {
				t.Errorf("explain shows %s", text)
			}
		}
	}
}

// The command and the API list as much as they are asked for.
func TestUnmappedParameters(t *testing.T) {
	r := start(t, regions(upstreamTable(resolvertest.StartUpstream(t, publicChains("a", "b", "c")).Addr)))
	for name, times := range map[string]int{"a": 1, "b": 3, "c": 2} {
		for i := range times {
			r.ask("udp", fmt.Sprintf("127.0.2.%d", i+1), name+".database.windows.net", dns.TypeA)
		}
	}
	r.ask("udp", europe, "a.database.windows.net", dns.TypeA)
	r.awaitUnmapped(t, "australia", 3)
	names := func(all []admin.UnmappedName) (text string) {
		for _, u := range all {
			text += strings.TrimSuffix(u.Name, ".database.windows.net")
		}
		return text
	}
	r.awaitUnmapped(t, "europe", 1)
	for _, row := range []struct{ args, australia, europe string }{
		{"", "bca", "a"},
		{"--network australia", "bca", ""},
		{"--top 2", "bc", "a"},
		{"--since 1h", "bca", "a"},
		{"--since 2001-01-01T00:00:00Z --top 1", "b", "a"},
		{"--since 2999-01-01T00:00:00Z", "", ""},
	} {
		for network, want := range map[string]string{"australia": row.australia, "europe": row.europe} {
			var got string
			resolvertest.Until(t, fmt.Sprintf("%s: %s has %q", row.args, network, want), func() bool { // the last answers are noted just after
				got = names(r.unmapped(t, network, strings.Fields(row.args)...))
				return got == want
			}, &got)
		}
	}
	for args, want := range map[string]string{
		"--network nowhere": "no network of this name", "--top 0": "top: write a whole number", "--since yesterday": "since: write a time",
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append([]string{"unmapped", "--server", r.admin}, strings.Fields(args)...), &stdout, &stderr); code == exitFine ||
			!strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit code %d: %s", args, code, stderr.String())
		}
	}
}

// publicChains are databases with a public address over their private names.
func publicChains(names ...string) string {
	var data strings.Builder
	for _, name := range names {
		fmt.Fprintf(&data, "%[1]s.database.windows.net. 60 IN CNAME %[1]s.privatelink.database.windows.net.\n"+
			"%[1]s.privatelink.database.windows.net. 60 IN A 203.0.113.7\n", name)
	}
	return data.String()
}

// An endpoint that a source found, and that the network is not given, is told of with its
// id: in another VNet, or waiting for approval.
func TestUnmappedKnownInAzure(t *testing.T) {
	l := newLearner(t)
	far := l.VNet(l.sub, "far", "westeurope", []string{"10.99.0.0/16"}, nil)
	for name, status := range map[string]string{"elsewhere": "", "waiting": "Pending"} {
		l.Add(graphtest.Endpoint{Subscription: l.sub, Name: name, VNet: far, Address: "10.99.0.4", Status: status,
			Names: []string{name + ".database.windows.net"}})
	}
	upstream := resolvertest.StartUpstream(t, "example.com. 300 IN A 127.0.0.1\n"+publicChains("elsewhere", "waiting", "nobodys"))
	r := start(t, strings.Replace(l.toml, l.upstream.Addr.String(), upstream.Addr.String(), 1))
	r.until("db1.database.windows.net", saysDB("db1", "10.0.1.1"))
	for _, name := range []string{"elsewhere", "waiting", "nobodys"} {
		r.ask("udp", europe, name+".database.windows.net", dns.TypeA)
	}
	for _, u := range r.awaitUnmapped(t, "europe", 3) {
		known := fmt.Sprintf("%+v", u.Azure)
		switch name, _, _ := strings.Cut(u.Name, "."); {
		case name == "nobodys":
			if u.Azure != nil {
				t.Errorf("nobody's endpoint is known: %s", known)
			}
		case u.Azure == nil || u.Azure.Source != "azure.corp" || !strings.HasSuffix(u.Azure.Resource, "/privateEndpoints/"+name):
			t.Errorf("%s: %s", name, known)
		case (u.Azure.Why != "") != (name == "waiting"):
			t.Errorf("%s: why is %q", name, u.Azure.Why)
		}
	}
	var stdout, stderr bytes.Buffer
	run(t.Context(), []string{"unmapped", "--server", r.admin}, &stdout, &stderr)
	if !strings.Contains(stdout.String(), "\n#   azure.corp knows /subscriptions/"+l.sub) {
		t.Errorf("the command prints %s", stdout.String())
	}
}
