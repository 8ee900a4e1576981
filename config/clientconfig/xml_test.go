package clientconfig_test

import (
	"encoding/xml"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	"pldns/config/clientconfig"
)

// content is what an element of an Azure VPN profile may hold, in this order: the
// part of its schema that this element uses.
func content() map[string][]string {
	return map[string][]string{
		"":             {"clientconfig"},
		"clientconfig": {"dnssuffixes", "dnsservers"},
		"dnssuffixes":  {"dnssuffix+"},
		"dnsservers":   {"dnsserver+"},
		"dnssuffix":    {"text"},
		"dnsserver":    {"text"},
	}
}

// The element for azurevpnconfig.xml is well formed, holds what the schema allows
// in its order, once each, and texts that are suffixes and addresses.
func TestAzureVPNIsValid(t *testing.T) {
	for name, s := range map[string]clientconfig.Settings{"sample": sample(t, "europe"), "hostile": plain(t, hostile()...)} {
		t.Run(name, func(t *testing.T) {
			decoder := xml.NewDecoder(strings.NewReader(render(t, output{clientconfig.AzureVPN, ""}, s)))
			decoder.Strict = true
			texts := validate(t, decoder, "")
			if len(texts["clientconfig"]) != 1 {
				t.Errorf("%d elements clientconfig", len(texts["clientconfig"]))
			}
			for _, server := range texts["dnsserver"] {
				if _, err := netip.ParseAddr(server); err != nil {
					t.Error(err)
				}
			}
			var want []string
			for _, zone := range s.Use.Zones {
				if zone.Apex {
					want = append(want, zone.Name.String())
				}
				if zone.Below {
					want = append(want, "."+zone.Name.String())
				}
			}
			if got := strings.Join(texts["dnssuffix"], " "); got != strings.Join(want, " ") {
				t.Errorf("suffixes %s\nwant     %s", got, strings.Join(want, " "))
			}
		})
	}
}

// validate holds the children of an element against what it may hold, and gives
// the texts of all elements below by name.
func validate(t *testing.T, decoder *xml.Decoder, parent string) map[string][]string {
	t.Helper()
	texts := make(map[string][]string)
	var children []string
	text := ""
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) && parent == "" {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, ends := token.(xml.EndElement); ends {
			break
		}
		switch token := token.(type) {
		case xml.CharData:
			text += string(token)
		case xml.StartElement:
			if len(token.Attr) > 0 {
				t.Errorf("%s has attributes", token.Name.Local)
			}
			children = append(children, token.Name.Local)
			for name, more := range validate(t, decoder, token.Name.Local) {
				texts[name] = append(texts[name], more...)
			}
		}
	}
	if got, want := strings.Join(children, " "), strings.Join(content()[parent], " "); !fits(want, children) {
		t.Errorf("%q holds %q, not %q", parent, got, want)
	}
	texts[parent] = append(texts[parent], strings.TrimSpace(text))
	return texts
}

// fits reports whether children are what an element may hold: text, one element at
// least, or these in this order.
func fits(want string, children []string) bool {
	if want == "text" {
		return len(children) == 0
	}
	if one, several := strings.CutSuffix(want, "+"); several {
		for _, child := range children {
			if child != one {
				return false
			}
		}
		return len(children) > 0
	}
	return strings.Join(children, " ") == want
}
