package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"pldns/config/azuregraph/graphtest"
)

const sqlZone = "privatelink.database.windows.net"

// estateOf is an Azure in which nothing is wrong, as far as its identity sees: two
// endpoints in a VNet that is linked to the one zone, which has their records.
func estateOf(t *testing.T) *learner {
	l := newLearner(t)
	l.VNet(l.sub, "hub", "westeurope", []string{"10.0.0.0/16"}, nil)
	l.Link(l.sub, sqlZone, l.hub, "NxDomainRedirect")
	l.Record(l.sub, sqlZone, "db1", "10.0.1.1")
	l.Record(l.sub, sqlZone, "db2", "10.0.1.2")
	return l
}

// audited runs audit --azure.
func (l *learner) audited(t *testing.T, toml string, args ...string) (code int, out, talk string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append([]string{"audit", "--azure", "-c", writeConfig(t, toml)}, args...), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// Of a live Azure the same is found as of exports, and what the identity cannot read is
// said, and not taken for absent.
func TestAuditOfALiveAzure(t *testing.T) {
	const other = 7 // a subscription
	for _, test := range []struct {
		name   string
		change func(l *learner)
		code   int
		out    string // a part of the report; ids are cut
		talk   string // a part of what was not looked at
	}{
		{"all is well", func(*learner) {}, exitFine, "nothing found: 1 VNet, 1 zone, 2 endpoints\n", ""},
		{
			"a record is missing", func(l *learner) { l.add("db3", "10.0.1.3") }, exitNo,
			"warning: record-missing: /dns/" + sqlZone + "\n  file    azure.corp\n  effect  clients in hub get the public address of db3.database.windows.net", "",
		},
		{
			"a record has another address", func(l *learner) { l.Record(l.sub, sqlZone, "db1", "10.0.1.2") }, exitNo,
			"of Azure DNS, and 10.0.1.1 of pldns, as clients of network europe", "",
		},
		{
			"nobody has the address of a record", func(l *learner) { l.Record(l.sub, sqlZone, "old", "10.0.1.77") }, exitNo,
			"warning: record-stale: /dns/old\n", "",
		},
		{
			"an address may be elsewhere", func(l *learner) { l.Record(l.sub, sqlZone, "far", "10.9.1.77") }, exitNo,
			"0 errors, 1 warning, 0 notes", "these lie in no VNet that was read: far." + sqlZone + " (10.9.1.77)",
		},
		{
			"an address may be in a VNet that is not read", func(l *learner) {
				hidden := l.VNet(l.Subscription(other), "spoke", "westeurope", []string{"10.0.1.0/24"}, nil)
				l.VNet(l.sub, "hub", "westeurope", []string{"10.0.0.0/16"}, map[string][]string{hidden: {"10.0.1.0/24"}})
				l.Record(l.sub, sqlZone, "old", "10.0.1.77")
				l.Hide(l.Subscription(other), true)
			}, exitNo, "0 errors, 1 warning, 0 notes", "a peering of the VNet hub leads there: what lies in it is not known",
		},
		{
			"the interfaces are not read", func(l *learner) { l.Blind("microsoft.network/networkinterfaces", true) }, exitNo,
			"0 errors, 2 warnings, 0 notes", "the listing has no network interfaces: addresses that nobody has were not looked for (the identity needs Microsoft.Network/networkInterfaces/read)",
		},
		{
			"the records are not read", func(l *learner) { l.Blind("microsoft.network/privatednszones/a", true) }, exitFine,
			"nothing found", "the listing has no record sets",
		},
		{
			"the links are not read", func(l *learner) { l.Blind("microsoft.network/privatednszones/virtualnetworklinks", true) }, exitFine,
			"nothing found", "the listing has no links of zones",
		},
		{
			"the zones of an endpoint are not read", func(l *learner) {
				hidden := l.Subscription(other)
				l.Link(hidden, "privatelink.vaultcore.azure.net", l.hub, "NxDomainRedirect")
				l.Record(hidden, "privatelink.vaultcore.azure.net", "kv", "10.0.1.9")
				l.Add(graphtest.Endpoint{Subscription: l.sub, Name: "kv", VNet: l.hub, Address: "10.0.1.9", Group: "vault", Names: []string{"kv.vault.azure.net"}})
				l.Hide(hidden, true)
			}, exitFine, "nothing found", "none that was read is theirs: kv.vault.azure.net",
		},
		{
			"a zone of the same name is not read", func(l *learner) {
				hidden := l.Subscription(other)
				spoke := l.VNet(l.sub, "spoke", "westeurope", []string{"10.1.0.0/16"}, nil)
				l.Add(graphtest.Endpoint{Subscription: l.sub, Name: "db4", VNet: spoke, Address: "10.1.0.4", Names: []string{"db4.database.windows.net"}})
				l.Link(hidden, sqlZone, spoke, "NxDomainRedirect")
				l.Record(hidden, sqlZone, "db4", "10.1.0.4")
				l.Link(l.sub, sqlZone, l.VNet(hidden, "away", "westeurope", nil, nil), "NxDomainRedirect")
				l.Hide(hidden, true)
			}, exitNo, "warning: record-missing: /dns/" + sqlZone, "not every zone of the name was read: " + sqlZone + " to spoke",
		},
		{
			"a row cannot be read", func(l *learner) {
				l.add("db3", "10.0.1.3")
				l.Put(graphtest.Endpoint{Subscription: l.sub, Name: "odd"}.ID(), "microsoft.network/privateendpoints", "westeurope", map[string]any{"privateLinkServiceConnections": 7})
			}, exitFine, "nothing found", "the listing is not whole: what it lacks is not reported",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := estateOf(t)
			test.change(l)
			code, out, talk := l.audited(t, l.toml)
			for _, id := range []string{"/subscriptions/" + l.sub + "/resourceGroups", "/providers/Microsoft.Network/privateDnsZones", "/" + sqlZone + "/A"} {
				out = strings.ReplaceAll(out, id, "")
			}
			if code != test.code || !strings.Contains(out, test.out) || !strings.Contains(talk, test.talk) || test.talk == "" && talk != "" {
				t.Errorf("%d\n%s%s", code, out, talk)
			}
		})
	}
}

// A source that cannot be listed is said and not good, and what only it could tell is not
// reported. Where none can be listed there is no report.
func TestAuditOfASourceThatFails(t *testing.T) {
	l, away := estateOf(t), newLearner(t)
	l.add("db3", "10.0.1.3") // its record is missing, as far as corp tells
	second := strings.NewReplacer("[azure.corp]", "[azure.away]", "00000000-0000-0000-0003", "00000000-0000-0000-0004")
	_, table, _ := strings.Cut(away.toml, "[azure.corp]")
	table, _, _ = strings.Cut("[azure.corp]"+table, "[networks.")
	both := l.toml + second.Replace(table)
	for range 1000 {
		away.Fail(graphtest.Status(http.StatusForbidden))
	}
	// The program's upstream knows the names of both servers: they are one.
	code, out, talk := l.audited(t, both)
	if code != exitNo || strings.Contains(out, "record-missing") || !strings.Contains(talk, "azure.away was not listed: ") ||
		!strings.Contains(talk, "the listing is not whole") {
		t.Errorf("one of two: %d\n%s%s", code, out, talk)
	}
	for range 1000 {
		l.Fail(graphtest.Status(http.StatusForbidden))
	}
	code, out, talk = l.audited(t, l.toml)
	if code != exitNo || out != "" || !strings.Contains(talk, "azure.corp: list subscriptions: Azure answers 403") {
		t.Errorf("the only one: %d\n%s%s", code, out, talk)
	}
}

// The report for programs and for code scanning is that of exports, and leads to the
// configuration.
func TestAuditOfALiveAzureForPrograms(t *testing.T) {
	l := estateOf(t)
	l.add("db3", "10.0.1.3")
	code, out, _ := l.audited(t, l.toml, "--json")
	var report struct{ Findings []struct{ File, Want string } }
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitNo || len(report.Findings) != 2 || report.Findings[1].File != "azure.corp" ||
		report.Findings[1].Want != "10.0.1.3" {
		t.Errorf("--json: %d %v\n%s", code, err, out)
	}
	code, out, _ = l.audited(t, l.toml, "--sarif")
	var log map[string]any
	if err := json.Unmarshal([]byte(out), &log); err != nil || code != exitNo {
		t.Fatalf("--sarif: %d %v\n%s", code, err, out)
	}
	if checkSARIF(t, log) != 2 || !strings.Contains(out, "pldns.toml") || strings.Contains(out, `"uri": "azure.corp"`) {
		t.Errorf("--sarif: %s", out)
	}
}

// What cannot be done is wrong use, before anybody is asked.
func TestAuditOfALiveAzureUsage(t *testing.T) {
	l := estateOf(t)
	file := writeConfig(t, l.toml)
	plain := writeConfig(t, "[networks.europe]\nclients = [\"10.0.0.0/8\"]\n")
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--azure"}, exitUsage, "name it with -c FILE"},
		{[]string{"--azure", "-c", file, "az", "estate.json"}, exitUsage, "unknown command"},
		{[]string{"--azure", "-c", file, "--origin", "example.com"}, exitUsage, "origin"},
		{[]string{"--azure", "-c", file, "--map", "hub=nowhere"}, exitUsage, "has no such network"},
		{[]string{"--azure", "-c", plain}, exitNo, "has no [azure.NAME]"},
		{[]string{"--azure", "-c", file + ".absent"}, exitNo, "cannot be used"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append([]string{"audit"}, test.args...), &stdout, &stderr); code != test.code || !strings.Contains(stderr.String(), test.says) {
			t.Errorf("%v: %d %s", test.args, code, &stderr)
		}
	}
	if calls := l.Calls(); len(calls) != 0 {
		t.Errorf("Azure was asked: %+v", calls)
	}
}
