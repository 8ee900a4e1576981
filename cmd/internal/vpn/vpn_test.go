package vpn_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"pldns/cmd/internal/vpn"
)

// said is what matters of a profile, as text.
func said(p vpn.Profile) string {
	text, _ := json.Marshal(struct {
		Client                      vpn.Client
		Name, Interface, When       string `json:",omitempty"`
		Assigned, Silent            bool   `json:",omitempty"`
		Addresses, Routes, Excluded any    `json:",omitempty"`
	}{p.Client, p.Name, p.Interface, p.When, p.Assigned, p.Silent, p.Addresses, p.Routes, p.Excluded})
	return strings.ReplaceAll(string(text), `"`, "")
}

// Each client says the same in its own words; what it said of an earlier connection
// does not count, nor what stands in comments and keys.
func TestEveryClient(t *testing.T) {
	const ranges = "Routes:[10.0.0.0/16,10.1.0.0/16"
	for file, want := range map[string][]string{
		"AzureVpnCxn.log": {"{Client:azure-vpn,Name:contoso-hub-weu,When:11/26/2026 1:28:14 PM,Assigned:true," +
			"Addresses:[172.16.10.3]," + ranges + ",172.16.10.0/25],Excluded:null}"},
		"azurevpnconfig.xml": {"{Client:azure-vpn,Name:contoso-hub-weu,Addresses:null,Routes:[10.1.0.0/16,10.2.0.0/16],Excluded:[10.1.9.0/24]}"},
		"openvpn.log": {"{Client:openvpn,Interface:tun0,When:2026-11-26 13:28:14,Assigned:true,Addresses:[172.16.10.3,fd00:16::3]," +
			"Routes:[0.0.0.0/0,10.0.0.0/16,10.1.0.0/16,10.3.3.3/32,::/0,fd00:10::/48],Excluded:[10.1.9.0/24]}"},
		"openvpn-connect.log": {"{Client:openvpn,Assigned:true,Addresses:[172.16.10.3]," + ranges + "],Excluded:null}"},
		"client.ovpn":         {"{Client:openvpn,Addresses:null,Routes:[10.1.0.0/16],Excluded:null}"},
		"wg0.conf": {"{Client:wireguard,Name:wg0,Interface:wg0,Addresses:[172.16.10.3,fd00:16::3]," + ranges +
			",10.3.3.3/32,fd00:10::/48],Excluded:null}"},
		"wg-dump.txt": {"{Client:wireguard,Name:wg0,Interface:wg0,Assigned:true,Addresses:null," + ranges + "],Excluded:null}",
			"{Client:wireguard,Name:wg1,Interface:wg1,Assigned:true,Silent:true,Addresses:null,Routes:[10.5.0.0/16,fd00:5::/48],Excluded:null}"},
		"wg-show.txt": {"{Client:wireguard,Name:wg0,Interface:wg0,Assigned:true,Addresses:null," + ranges + "],Excluded:null}",
			"{Client:wireguard,Name:wg1,Interface:wg1,Assigned:true,Silent:true,Addresses:null,Routes:[10.5.0.0/16],Excluded:null}"},
	} {
		t.Run(file, func(t *testing.T) {
			profiles, err := vpn.File(filepath.Join("testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range profiles {
				got = append(got, said(p))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			text, _ := json.Marshal(profiles)
			if strings.Contains(string(text), "Secret") {
				t.Errorf("a key is shown: %s", text)
			}
		})
	}
}

// The log of Azure in UTF-16, as Windows may write it, reads alike.
func TestUTF16(t *testing.T) {
	text, err := os.ReadFile("testdata/AzureVpnCxn.log")
	if err != nil {
		t.Fatal(err)
	}
	wide := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(string(text))) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	narrow, err1 := vpn.Read("log", text)
	same, err2 := vpn.Read("log", wide)
	if diff := cmp.Diff(said(narrow[0]), said(same[0])); err1 != nil || err2 != nil || diff != "" {
		t.Errorf("%v, %v: %s", err1, err2, diff)
	}
}

// A profile covers an address by its longest route, unless one that is as long keeps it out.
func TestCovers(t *testing.T) {
	profiles, err := vpn.File("testdata/openvpn.log")
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"10.1.1.4": "10.1.0.0/16", "10.3.3.3": "10.3.3.3/32", "10.1.9.4": "", "203.0.113.9": "0.0.0.0/0", "fd00:10::4": "fd00:10::/48",
	} {
		prefix, covers := profiles[0].Covers(netip.MustParseAddr(address))
		if covers != (want != "") || covers && prefix.String() != want {
			t.Errorf("%s: %v %t, want %q", address, prefix, covers, want)
		}
	}
}

// What is no client's, or has no connection in it, is refused with what to do.
func TestRefusals(t *testing.T) {
	for text, want := range map[string]error{
		"": vpn.ErrUnknown, "remote desktop\nnothing else": vpn.ErrUnknown, "<html></html>": vpn.ErrUnknown, "\xff\xfe": vpn.ErrUnknown,
		"[1/2/2026] PId:[1] TId:[2] [hub] [{a}] [Verbose] nothing yet": vpn.ErrNoRoutes,
		"<azvpnprofile><clientconfig><a b='":                           vpn.ErrNoRoutes,
		"2026-11-26 08:10:02 library versions: OpenSSL 3":              vpn.ErrNoRoutes,
	} {
		if profiles, err := vpn.Read("x", []byte(text)); !errors.Is(err, want) {
			t.Errorf("%q: %v, %v, want %v", text, profiles, err, want)
		}
	}
	if _, err := vpn.File(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a folder: %v", err)
	}
}

// No text does harm: what comes out is bounded, printable and of valid prefixes.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil || len(files) < 8 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("\xfe\xff\x00<"))
	f.Add([]byte("PUSH: Received control message: 'PUSH_REPLY,route ::ffff:10.0.0.0 255.0.255.0,route 10.0.0.0%eth0 8,redirect-gateway'"))
	f.Fuzz(func(t *testing.T, text []byte) {
		profiles, err := vpn.Read("\x1b[2Jlog", text)
		if err != nil {
			return
		}
		if len(profiles) == 0 || len(profiles) > 64 {
			t.Fatalf("%d profiles", len(profiles))
		}
		for _, p := range profiles {
			for _, shown := range []string{p.Origin, p.Name, p.Interface, p.When} {
				if strings.ContainsFunc(shown, unicode.IsControl) || !utf8.ValidString(shown) || len(shown) > 200 {
					t.Errorf("%q is not to be shown", shown)
				}
			}
			for _, prefix := range append(p.Routes, p.Excluded...) {
				if !prefix.IsValid() || prefix != prefix.Masked() {
					t.Errorf("%v is no prefix", prefix)
				}
			}
			if len(p.Routes) > 4096 || len(p.Excluded) > 4096 {
				t.Errorf("%d routes, %d excluded", len(p.Routes), len(p.Excluded))
			}
			p.Covers(netip.MustParseAddr("10.0.1.4"))
		}
	})
}
