package listen

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestCookieVectors: the examples of RFC 9018 appendix A.
func TestCookieVectors(t *testing.T) {
	for _, row := range []struct {
		name, secret, cookie, client string
		at                           int64
		want                         string
	}{
		{"A.1, learning a new server cookie", "e5e973e5a6b2a43f48e7dc849e37bfcf", "2464c4abcf10c957", "198.51.100.100", 1559731985, "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
	} {
		var secret [16]byte
		var cookie [8]byte
		if _, err := hex.Decode(secret[:], []byte(row.secret)); err != nil {
			t.Fatal(err)
		}
		if _, err := hex.Decode(cookie[:], []byte(row.cookie)); err != nil {
			t.Fatal(err)
		}
		c := cookiesOf(secret)
		got := hex.EncodeToString(c.appendCookie(nil, cookie, netip.MustParseAddr(row.client), time.Unix(row.at, 0)))
		if got != row.want {
			t.Errorf("%s:\n got %s\nwant %s", row.name, got, row.want)
		}
	}
}

// TestCookies: whoever sends a cookie gets it back with the server's, whether the
// answer is remembered or not, over UDP and TCP, and also when it must be cut;
// who sends none gets none.
func TestCookies(t *testing.T) {
	r := run(t, newEstate(t), false)
	for _, transport := range []string{udp, tcp} {
		client := dns.Client{Net: transport, Timeout: time.Minute}
		for _, name := range []string{"mydb.database.windows.net.", "www.example.", "large.example.", "servfail.example.", "broken.example."} {
			for range 3 {
				m := new(dns.Msg).SetQuestion(name, dns.TypeA).SetEdns0(512, false)
				m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"}}
				reply, _, err := client.Exchange(m, r.Addrs()[0].String())
				if err != nil {
					t.Fatal(err)
				}
				if got := cookieOf(reply); len(got) != 48 || !strings.HasPrefix(got, "0123456789abcdef01000000") {
					t.Errorf("%s over %s: the cookie is %q", name, transport, got)
				}
				if transport == udp && reply.Len() > 512 {
					t.Errorf("%s: the reply has %d octets", name, reply.Len())
				}
				m.IsEdns0().Option = nil
				if reply, _, err = client.Exchange(m, r.Addrs()[0].String()); err != nil || cookieOf(reply) != "" {
					t.Errorf("%s over %s: %v, a cookie for none: %v", name, transport, err, reply)
				}
			}
		}
	}
}

// cookieOf is the cookie of a reply.
func cookieOf(reply *dns.Msg) string {
	for _, option := range reply.IsEdns0().Option {
		if cookie, is := option.(*dns.EDNS0_COOKIE); is {
			return cookie.Cookie
		}
	}
	return ""
}
