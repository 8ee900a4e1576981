package zones_test

import (
	"strings"
	"testing"

	"pldns/zones"
)

func TestParseName(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"plain", "mydb.database.windows.net", "mydb.database.windows.net."},
		{"final dot", "mydb.database.windows.net.", "mydb.database.windows.net."},
		{"letter case", "MyDB.Database.Windows.NET", "mydb.database.windows.net."},
		{"root", ".", "."},
		{"wildcard", "*.apps.contoso.com", "*.apps.contoso.com."},
		{"service label", "_ldap._tcp.contoso.com", "_ldap._tcp.contoso.com."},
		{"one spelling of an escape", `\100b.contoso.com`, "db.contoso.com."},
	} {
		t.Run(test.name, func(t *testing.T) {
			name, err := zones.ParseName(test.text)
			if err != nil || name.FQDN() != test.want {
				t.Errorf("ParseName(%q) = %q, %v; want %q", test.text, name.FQDN(), err, test.want)
			}
		})
	}
}

// TestParseNamePlain shows that names without escapes, which are read in a shorter
// way, are read as they are with one.
func TestParseNamePlain(t *testing.T) {
	label := strings.Repeat("a", 63)
	for _, text := range []string{
		"a", "a.", "a.B-c_9", "a.*.b", "a..b", "a..", "a.b..", "a" + label + ".com", label + ".com", "a/b.com", "a b.com", "a\u00e9.com",
		"a." + label + "." + label + "." + label + "." + label[:59], "a." + label + "." + label + "." + label + "." + label[:60],
	} {
		plain, err := zones.ParseName(text)
		escaped, escapedErr := zones.ParseName(`\097` + text[1:])
		if plain != escaped || (err == nil) != (escapedErr == nil) {
			t.Errorf("%q is %q, %v; with an escape %q, %v", text, plain, err, escaped, escapedErr)
		}
	}
}

func TestParseNameRefuses(t *testing.T) {
	long := strings.Repeat("a", 64)
	for name, text := range map[string]string{
		"empty":           "",
		"empty label":     "a..b",
		"leading dot":     ".contoso.com",
		"label of 64":     long + ".com",
		"name of 256":     strings.Repeat(long[:63]+".", 4) + "com",
		"dangling escape": `contoso.com\`,
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := zones.ParseName(text); err == nil {
				t.Errorf("ParseName(%q) = %q, want an error", text, got)
			}
		})
	}
}

func TestWithin(t *testing.T) {
	for _, test := range []struct {
		name, zone string
		want       bool
	}{
		{"a.contoso.com", "contoso.com", true},
		{"contoso.com", "contoso.com", true},
		{"notcontoso.com", "contoso.com", false},
		{"com", "contoso.com", false},
		{"contoso.com", ".", true},
		{`a\.contoso.com`, "contoso.com", false},
		{`a\\.contoso.com`, "contoso.com", true},
	} {
		name, zone := zones.MustName(test.name), zones.MustName(test.zone)
		if got := name.Within(zone); got != test.want {
			t.Errorf("%s within %s = %v, want %v", name, zone, got, test.want)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"a.b", ".", "*.x.", `\000.x`, "ü.example", "a..b", `\.`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := zones.ParseName(text)
		if err != nil {
			return
		}
		again, err := zones.ParseName(name.FQDN())
		if err != nil || again != name {
			t.Fatalf("ParseName(%q) = %q, and of that %q, %v", text, name.FQDN(), again.FQDN(), err)
		}
		for at, more := name, true; more; at, more = at.Parent() {
			if !name.Within(at) {
				t.Fatalf("%q is not within its ancestor %q", name.FQDN(), at.FQDN())
			}
		}
	})
}
