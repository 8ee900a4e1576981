package clientconfig_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/config/clientconfig"
)

// designated are records as a resolver gives them.
func designated(t *testing.T, texts ...string) (records []*dns.SVCB) {
	t.Helper()
	for _, text := range texts {
		record, err := dns.NewRR("_dns.resolver.arpa. 300 IN SVCB " + text)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record.(*dns.SVCB))
	}
	return records
}

// TestDNR: whoever reads the options as RFC 9463 says finds what the resolver says itself.
func TestDNR(t *testing.T) {
	const doh, dot = `1 dns.contoso.net. alpn="h2" port="443" ipv4hint="10.0.0.4,10.0.0.5" ipv6hint="fd00::4" dohpath="/dns-query{?dns}"`,
		`2 dns.contoso.net. alpn="dot" port="853" ipv4hint="10.0.0.4"`
	want4 := []string{"1 dns.contoso.net. [10.0.0.4 10.0.0.5] 1=026832 3=01bb 7=" + hex.EncodeToString([]byte("/dns-query{?dns}")),
		"2 dns.contoso.net. [10.0.0.4] 1=03646f74 3=0355"}
	want6 := []string{"1 dns.contoso.net. [fd00::4] 1=026832 3=01bb 7=" + hex.EncodeToString([]byte("/dns-query{?dns}"))}
	for format, find := range map[string][3]string{
		"kea":     {`"code": 162.*"data": "([0-9a-f]+)"`, `"code": 144.*"data": "([0-9a-f]+)"`, `// (90[0-9a-f]+)`},
		"dnsmasq": {`dhcp-option=162,([0-9a-f:]+)`, `dhcp-option=option6:144,([0-9a-f:]+)`, `# (90[0-9a-f]+)`},
	} {
		text, err := clientconfig.RenderDNR(format, "hub", designated(t, doh, dot))
		if err != nil {
			t.Fatal(err)
		}
		options := func(pattern string) (list [][]byte) {
			for _, match := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
				octets, err := hex.DecodeString(strings.ReplaceAll(string(match[1]), ":", ""))
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, octets)
			}
			return list
		}
		var got4, got6, advertised []string
		for _, option := range options(find[0]) {
			for len(option) > 0 {
				length := int(binary.BigEndian.Uint16(option))
				got4 = append(got4, readResolver(option[2:2+length], 1, 4))
				option = option[2+length:]
			}
		}
		for _, option := range options(find[1]) {
			got6 = append(got6, readResolver(option, 2, 16))
		}
		for _, option := range options(find[2]) {
			if len(option) != 8*int(option[1]) || binary.BigEndian.Uint32(option[4:]) == 0 {
				t.Errorf("%s: %x is no option of a router advertisement", format, option)
			}
			advertised = append(advertised, readAdvertised(option))
		}
		if !slices.Equal(got4, want4) || !slices.Equal(got6, want6) || !slices.Equal(advertised, want6) {
			t.Errorf("%s:\n%s\ngot\n%s\n%s\n%s", format, text, got4, got6, advertised)
		}
	}
}

// readResolver reads a resolver whose lengths have so many octets, as its addresses have.
func readResolver(data []byte, lengths, addresses int) string {
	take := func(n int) []byte {
		taken := data[:n]
		data = data[n:]
		return taken
	}
	number := func() (n int) {
		for _, octet := range take(lengths) {
			n = n<<8 | int(octet)
		}
		return n
	}
	priority := binary.BigEndian.Uint16(take(2))
	name, _, _ := dns.UnpackDomainName(take(number()), 0)
	var list []netip.Addr
	for octets := range slices.Chunk(take(number()), addresses) {
		addr, _ := netip.AddrFromSlice(octets)
		list = append(list, addr)
	}
	text := fmt.Sprintf("%d %s %v", priority, name, list)
	for len(data) > 0 {
		key, length := binary.BigEndian.Uint16(take(2)), binary.BigEndian.Uint16(take(2))
		text += fmt.Sprintf(" %d=%x", key, take(int(length)))
	}
	return text
}

// readAdvertised reads an option of router advertisements: as one of DHCPv6, but with a
// lifetime, and a length before the parameters.
func readAdvertised(option []byte) string {
	body := slices.Concat(option[2:4], option[8:])
	at := 2
	for range 2 {
		at += 2 + int(binary.BigEndian.Uint16(body[at:]))
	}
	length := int(binary.BigEndian.Uint16(body[at:]))
	return readResolver(slices.Concat(body[:at], body[at+2:at+2+length]), 2, 16)
}

// TestDNRRefusals: what cannot be told is refused, with what to do.
func TestDNRRefusals(t *testing.T) {
	const addresses = "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5,10.0.0.6,10.0.0.7,10.0.0.8,10.0.0.9,10.0.0.10,10.0.0.11,10.0.0.12,10.0.0.13," +
		"10.0.0.14,10.0.0.15,10.0.0.16,10.0.0.17,10.0.0.18,10.0.0.19,10.0.0.20,10.0.0.21,10.0.0.22,10.0.0.23,10.0.0.24,10.0.0.25,10.0.0.26"
	for _, test := range []struct {
		format  string
		records []*dns.SVCB
		want    string
	}{
		{"radvd", designated(t, `1 dns.contoso.net. alpn="dot" ipv4hint="10.0.0.4"`), `dnr has no format "radvd": name one of kea, dnsmasq`},
		{"", nil, "clients of network hub are told of no encrypted listener: open listen.dot or listen.doh"},
		{"", designated(t, `1 dns.contoso.net. alpn="dot"`), "the options need addresses: write listen.designated"},
		{"", designated(t, `1 dns.contoso.net. alpn="dot" ipv4hint="`+addresses+`"`, `2 dns.contoso.net. alpn="h2" ipv4hint="`+addresses+`"`), "option 162 has no room"},
	} {
		if text, err := clientconfig.RenderDNR(test.format, "hub", test.records); err == nil || !strings.Contains(err.Error(), test.want) || text != nil {
			t.Errorf("got %v with %q, want %s", err, text, test.want)
		}
	}
}
