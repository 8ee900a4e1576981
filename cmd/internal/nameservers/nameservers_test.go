package nameservers

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func text(servers []netip.AddrPort) string {
	var all []string
	for _, server := range servers {
		all = append(all, server.String())
	}
	return strings.Join(all, " ")
}

// The servers of the system are read, behind the stub of systemd-resolved too.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	stub := write("stub", "nameserver 127.0.0.53\noptions edns0\n")
	behind := write("behind", "nameserver 10.0.0.4\nnameserver fd00::4\n")
	empty := write("empty", "search contoso.com\n")
	nonsense := write("nonsense", "nameserver ns1.contoso.com\n")
	absent := filepath.Join(dir, "absent")
	for _, test := range []struct{ file, behind, want, fails string }{
		{behind, absent, "10.0.0.4:53 [fd00::4]:53", ""},
		{stub, behind, "10.0.0.4:53 [fd00::4]:53", ""},
		{stub, absent, "127.0.0.53:53", ""},
		{stub, empty, "127.0.0.53:53", ""},
		{empty, behind, "", ""},
		{absent, behind, "", "absent"},
		{nonsense, behind, "", `nameserver "ns1.contoso.com" is no IP address`},
	} {
		got, err := behindStub(test.file, test.behind)
		if text(got) != test.want || (err != nil) != (test.fails != "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("%s and %s: %s, %v, want %s", test.file, test.behind, text(got), err, test.want)
		}
	}
}

// What a Mac with a VPN and files in /etc/resolver prints.
func TestScutil(t *testing.T) {
	out, err := os.ReadFile(filepath.Join("testdata", "scutil-vpn.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"":                                       "192.168.178.1:53 [fe80::1%en0]:53",
		"www.contoso.com":                        "192.168.178.1:53 [fe80::1%en0]:53",
		"printer.local":                          "192.168.178.1:53 [fe80::1%en0]:53", // which is asked on the link, and nowhere else
		"mydb.database.windows.net":              "10.0.0.4:53",
		"MyDB.PrivateLink.Database.windows.net.": "10.0.0.4:53 10.0.0.5:53",
		"notdatabase.windows.net":                "192.168.178.1:53 [fe80::1%en0]:53",
		"web.service.consul":                     "127.0.0.1:8600",
	} {
		if got := text(ofScutil(string(out), name)); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	for _, out := range []string{"", "No DNS configuration available\n", "nameserver[0] : 10.0.0.4\n", "resolver #1\n  nameserver[0] : none\n"} {
		if got := ofScutil(out, "www.contoso.com"); len(got) != 0 {
			t.Errorf("%q: %s", out, text(got))
		}
	}
}

// A Windows machine with Wi-Fi, a VPN that is preferred, an adapter that is not
// plugged in, and a policy for names as "pldns client-config nrpt" makes it.
func TestWindows(t *testing.T) {
	addrs := func(all ...string) (parsed []netip.Addr) {
		for _, one := range all {
			parsed = append(parsed, netip.MustParseAddr(one))
		}
		return parsed
	}
	adapters := []adapter{
		{up: true, metric: 35, servers: addrs("192.168.178.1", "fd00::1", "192.168.178.1")},
		{up: false, metric: 5, servers: addrs("10.66.0.1")},
		{up: true, metric: 15, servers: addrs("10.0.0.4", "fec0:0:0:ffff::1", "fec0:0:0:ffff::2%1")},
		{up: true, loopback: true, metric: 1, servers: addrs("127.0.0.1")},
		{up: true, metric: 1<<32 - 1, servers: addrs("10.0.0.4", "10.77.0.1")},
	}
	rules := []rule{
		{names: []string{".database.windows.net", ".privatelink.database.windows.net"}, servers: "10.0.0.5;10.0.0.6"},
		{names: []string{"one.database.windows.net"}, servers: "10.0.0.7"},
		{names: []string{".windows.net"}, servers: ""},
		{names: []string{".corp.contoso.com"}, servers: "10.20.0.4, fd00::4"},
	}
	const ofAdapters = "10.0.0.4:53 192.168.178.1:53 [fd00::1]:53 10.77.0.1:53"
	for name, want := range map[string]string{
		"":                               ofAdapters,
		"www.contoso.com":                ofAdapters,
		"mydb.database.windows.net":      "10.0.0.5:53 10.0.0.6:53",
		"database.windows.net.":          "10.0.0.5:53 10.0.0.6:53",
		"One.database.windows.net":       "10.0.0.7:53",
		"below.one.database.windows.net": "10.0.0.5:53 10.0.0.6:53",
		"blob.core.windows.net":          ofAdapters,
		"dc1.corp.contoso.com":           "10.20.0.4:53 [fd00::4]:53",
	} {
		if got := text(ofWindows(rules, adapters, name)); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	everything := append(rules, rule{names: []string{"."}, servers: "10.0.0.9"})
	if got := text(ofWindows(everything, adapters, "www.contoso.com")); got != "10.0.0.9:53" {
		t.Errorf("with a policy for every name: %s", got)
	}
	if got := text(ofWindows(everything, adapters, "")); got != ofAdapters {
		t.Errorf("without a name: %s", got)
	}
	if got := ofWindows(nil, nil, "www.contoso.com"); len(got) != 0 {
		t.Errorf("a machine without adapters has servers: %s", text(got))
	}
}

// The servers of this machine, whatever it is, can be asked for.
func TestSystem(t *testing.T) {
	if _, err := System(); err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
	if _, err := For("mydb.database.windows.net"); err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
}
