package vpn

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Where clients write is known on each system, and nothing is looked for in a folder
// that the environment does not name.
func TestPlaces(t *testing.T) {
	named := func(name string) string { return "/" + name }
	for goos, want := range map[string]string{
		"windows": "/LOCALAPPDATA/Packages/Microsoft.AzureVpn_8wekyb3d8bbwe/LocalState/*/*.log",
		"darwin":  "/etc/wireguard/*.conf", "linux": "/var/log/openvpn/*.log",
	} {
		all := filepath.ToSlash(strings.Join(places(goos, named), "\n"))
		if !strings.Contains(all, want) {
			t.Errorf("%s: no %s in %s", goos, want, all)
		}
	}
	if got := places("windows", func(string) string { return "" }); len(got) != 0 {
		t.Errorf("without an environment: %q", got)
	}
}

// Of a folder the newest files come first, and of two logs of one connection the
// newest counts.
func TestNewestFilesFirst(t *testing.T) {
	dir := t.TempDir()
	line := func(address string) string {
		return "[t] PId:[1] TId:[2] [hub] [{a}] [Verbose] Assigned IP address: " + address + " / 255.255.255.0\n"
	}
	for i, name := range []string{"new.log", "old.log"} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(line([]string{"172.16.10.3", "172.16.10.9"}[i])), 0o600); err != nil {
			t.Fatal(err)
		}
		written := time.Now().Add(-time.Duration(i) * time.Hour)
		if err := os.Chtimes(file, written, written); err != nil {
			t.Fatal(err)
		}
	}
	var all []Profile
	for _, file := range newest(filepath.Join(dir, "*.log")) {
		read, err := File(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, read...)
	}
	kept := unique(all)
	if len(kept) != 1 || kept[0].Addresses[0].String() != "172.16.10.3" {
		t.Errorf("%+v", kept)
	}
}

// Of a large log its end is read; a shown interface stands for its configuration.
func TestEndsAndDoubles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "AzureVpnCxn.log")
	text := strings.Repeat("[t] PId:[1] TId:[2] [hub] [{a}] [Verbose] nothing of interest\n", maxText/60) +
		"[t] PId:[1] TId:[2] [hub] [{a}] [Verbose] Assigned Route: 10.1.0.0 / 255.255.0.0\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	profiles, err := File(file)
	if err != nil || len(profiles) != 1 || len(profiles[0].Routes) != 1 {
		t.Errorf("%+v, %v", profiles, err)
	}
	configured := Profile{Client: WireGuard, Name: "wg0", Interface: "wg0"}
	running := Profile{Client: WireGuard, Name: "wg0", Interface: "wg0", Assigned: true}
	if got := unique([]Profile{running, configured, {Client: OpenVPN}}); len(got) != 2 || !got[0].Assigned {
		t.Errorf("on %s: %+v", runtime.GOOS, got)
	}
}
