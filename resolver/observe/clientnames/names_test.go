package clientnames_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"pldns/resolver/observe/clientnames"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a file as it is.
func open(path string, _ int64) (*os.File, int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	return file, info.Size(), err
}

// write writes a file of names.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFiles: names are read from each form that other programs write.
func TestFiles(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       map[string]string
	}{
		{"hosts", "\ufeff# office\n10.0.0.7 anna-laptop anna\n10.0.0.7 other\nfd00::7\tanna-laptop.corp.contoso.com. # by IPv6\n10.0.0.8\nnonsense\n10.0.0.300 x\n", map[string]string{
			"10.0.0.7": "anna-laptop", "fd00::7": "anna-laptop.corp.contoso.com", "10.0.0.8": "", "::ffff:10.0.0.7": "anna-laptop",
		}},
		{"dnsmasq", "4000000000 00:11:22:33:44:55 10.0.0.7 anna-laptop 01:00:11:22:33:44:55\n0 00:11:22:33:44:56 10.0.0.8 printer *\n" +
			"4000000000 00:11:22:33:44:57 10.0.0.9 * *\n1000000000 00:11:22:33:44:58 10.0.0.10 gone *\nduid 00:01:00:01\n4000000000 1234 fd00::7 anna-laptop 00:01\n", map[string]string{
			"10.0.0.7": "anna-laptop", "10.0.0.8": "printer", "10.0.0.9": "", "10.0.0.10": "", "fd00::7": "anna-laptop",
		}},
		{"ISC DHCP", `# The format of this file is documented in the dhcpd.leases(5) manual page.
authoring-byte-order little-endian;
lease 10.0.0.7 {
  starts 4 2026/11/26 10:00:00;
  ends 4 2096/11/26 22:00:00;
  binding state active;
  next binding state free;
  hardware ethernet 00:11:22:33:44:55;
  client-hostname "anna-laptop";
}
lease 10.0.0.8 {
  ends never;
  binding state active;
  client-hostname "printer";
}
lease 10.0.0.9 {
  ends 4 2006/11/26 22:00:00;
  binding state active;
  client-hostname "gone";
}
lease 10.0.0.10 {
  binding state free;
  client-hostname "given-back";
}
lease 10.0.0.11 {
  binding state active;
  client-hostname "before";
}
lease 10.0.0.11 {
  binding state active;
  client-hostname "after";
}
lease 10.0.0.12 {
  client-hostname "cut off`, map[string]string{
			"10.0.0.7": "anna-laptop", "10.0.0.8": "printer", "10.0.0.9": "", "10.0.0.10": "", "10.0.0.11": "after", "10.0.0.12": "",
		}},
		{"Kea", "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id\n" +
			"10.0.0.7,00:11:22:33:44:55,,3600,4000000000,1,0,0,anna-laptop.corp.contoso.com.,0,,0\n10.0.0.8,00:11:22:33:44:56,,3600,1000000000,1,0,0,gone,0,,0\n" +
			"10.0.0.9,00:11:22:33:44:57,,3600,4000000000,1,0,0,declined,1,,0\n10.0.0.10,00,,3600,4000000000,1,0,0,before,0,,0\n10.0.0.10,00,,3600,4000000000,1,0,0,,0,,0\nnonsense\n", map[string]string{
			"10.0.0.7": "anna-laptop.corp.contoso.com", "10.0.0.8": "", "10.0.0.9": "", "10.0.0.10": "",
		}},
		{"hostile", "10.0.0.7 <script>\n10.0.0.8 a\x1b[31m\n10.0.0.9 " + strings.Repeat("x", 300) + "\n10.0.0.10 fine\n", map[string]string{
			"10.0.0.7": "", "10.0.0.8": "", "10.0.0.9": "", "10.0.0.10": "fine",
		}},
		{"empty", "", map[string]string{"10.0.0.7": ""}},
	} {
		names := clientnames.New(clientnames.Config{Files: map[string][]string{"": {write(t, "names", test.text)}}, Open: open})
		for addr, want := range test.want {
			if got := names.Of("office", netip.MustParseAddr(addr)); got != want {
				t.Errorf("%s: %s is called %q, want %q", test.name, addr, got, want)
			}
		}
	}
}

// TestOverlappingNetworks: a network's own file goes before those of all, and says nothing
// of others.
func TestOverlappingNetworks(t *testing.T) {
	names := clientnames.New(clientnames.Config{Open: open, Files: map[string][]string{
		"":    {write(t, "all", "10.0.0.7 of-all\n10.0.0.8 eight\n"), write(t, "later", "10.0.0.8 later\n")},
		"lab": {write(t, "lab", "10.0.0.7 of-lab\n")},
	}})
	for _, test := range [][3]string{{"lab", "10.0.0.7", "of-lab"}, {"office", "10.0.0.7", "of-all"}, {"", "10.0.0.7", "of-all"}, {"lab", "10.0.0.8", "later"}} {
		if got := names.Of(test[0], netip.MustParseAddr(test[1])); got != test[2] {
			t.Errorf("%s in %s is called %q, want %q", test[1], test[0], got, test[2])
		}
	}
	var none *clientnames.Names
	if got := none.Of("lab", netip.MustParseAddr("10.0.0.7")); got != "" {
		t.Errorf("without names it is called %q", got)
	}
}

// TestChangedFiles: what changes is read within seconds; what cannot be read any more still
// holds, and is told once.
func TestChangedFiles(t *testing.T) {
	path := write(t, "leases", "4000000000 00:11:22:33:44:55 10.0.0.7 before *\n")
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		names := clientnames.New(clientnames.Config{Files: map[string][]string{"": {path}}, Open: open, Log: slog.New(slog.NewTextHandler(&said, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- names.Run(ctx) }()
		called := func(want string) {
			t.Helper()
			time.Sleep(6 * time.Second) // of the test's own clock
			if got := names.Of("", netip.MustParseAddr("10.0.0.7")); got != want {
				t.Errorf("called %q, want %q", got, want)
			}
		}
		called("before")
		if err := os.WriteFile(path, []byte("4000000000 00:11:22:33:44:55 10.0.0.7 after-that *\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		called("after-that")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		called("after-that")
		called("after-that")
		if told := strings.Count(said.String(), "names of clients cannot be read"); told != 1 {
			t.Errorf("told %d times:\n%s", told, said.String())
		}
		if err := os.WriteFile(path, []byte("4000000000 00:11:22:33:44:55 10.0.0.7 again *\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		called("again")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestReverse: a client is looked up once, without anybody's waiting for it, and again when
// its name has run out; until then it is called what it was.
func TestReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		name, ttl := "first.corp.contoso.com.", time.Hour
		names := clientnames.New(clientnames.Config{Reverse: func(ctx context.Context, network string, client netip.Addr) (string, time.Duration) {
			time.Sleep(time.Second)
			asked.Add(1) // then the test is not running
			if network != "office" {
				return "", 0
			}
			return name, ttl
		}})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- names.Run(ctx) }()
		client := netip.MustParseAddr("10.0.0.7")
		called := func(network, want string, asks int64) {
			t.Helper()
			if got := names.Of(network, client); got != want || asked.Load() != asks {
				t.Errorf("called %q after %d look-ups, want %q after %d", got, asked.Load(), want, asks)
			}
		}
		called("office", "", 0)
		called("office", "", 0)
		time.Sleep(2 * time.Second)
		called("office", "first.corp.contoso.com", 1)
		name = "second.corp.contoso.com."
		time.Sleep(59 * time.Minute)
		called("office", "first.corp.contoso.com", 1)
		time.Sleep(2 * time.Minute)
		called("office", "first.corp.contoso.com", 1)
		time.Sleep(2 * time.Second)
		called("office", "second.corp.contoso.com", 2)
		called("lab", "", 2)
		time.Sleep(2 * time.Second)
		called("lab", "", 3)
		time.Sleep(9 * time.Minute)
		called("lab", "", 3)
		for i := range 100_000 { // forged, say
			names.Of("office", netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}))
		}
		time.Sleep(time.Second)
		if many := asked.Load(); many > 3+60 {
			t.Errorf("%d look-ups within a second", many)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// FuzzFiles: no file is more than a file without names.
func FuzzFiles(f *testing.F) {
	f.Add("10.0.0.7 a\n")
	f.Add("address,hostname\n10.0.0.7,a\n")
	f.Add("lease 10.0.0.7 {\n client-hostname \"a\";\n}\n")
	f.Add("0 0 10.0.0.7 a *\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "names")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		name := clientnames.New(clientnames.Config{Files: map[string][]string{"": {path}}, Open: open}).Of("", netip.MustParseAddr("10.0.0.7"))
		if len(name) > 253 || strings.ContainsAny(name, "<>\"' \x1b\n") {
			t.Errorf("called %q", name)
		}
	})
}
