package listen

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
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

// TestReturnedCookies: a cookie proves the address that it was made for, with the client
// cookie that it was made for, for an hour.
func TestReturnedCookies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, other := newCookies(), newCookies()
		mine := netip.MustParseAddr("192.0.2.1")
		given := func(by *cookies, client netip.Addr) *request {
			cookie := by.appendCookie(nil, [8]byte{1, 2, 3}, client, time.Now())
			packet := packed(t, mydb())
			packet[len(packet)-1] = byte(4 + len(cookie)) // the length of the data of the OPT record
			packet = append(packet, 0, dns.EDNS0COOKIE, 0, byte(len(cookie)))
			r, why := accept(append(packet, cookie...))
			if why != Accepted || !r.proof {
				t.Fatalf("the query is %s, with a cookie: %v", why, r.proof)
			}
			return &r
		}
		r := given(&c, mine)
		for _, row := range []struct {
			name  string
			r     *request
			from  string
			later time.Duration
			want  bool
		}{
			{"at once", r, "192.0.2.1", 0, true},
			{"an hour later", r, "192.0.2.1", time.Hour, true},
			{"more than an hour later", r, "192.0.2.1", time.Hour + 2*time.Second, false},
			{"from a little in the future", r, "192.0.2.1", -4 * time.Minute, true},
			{"from the future", r, "192.0.2.1", -6 * time.Minute, false},
			{"from elsewhere", r, "192.0.2.2", 0, false},
			{"made elsewhere", given(&other, mine), "192.0.2.1", 0, false},
			{"IPv6", given(&c, netip.MustParseAddr("2001:db8::1")), "2001:db8::1", 0, true},
			{"IPv6, from elsewhere", given(&c, netip.MustParseAddr("2001:db8::1")), "2001:db8::2", 0, false},
		} {
			if got := c.proves(row.r, netip.MustParseAddr(row.from), time.Now().Add(row.later)); got != row.want {
				t.Errorf("%s: %v", row.name, got)
			}
		}
		for i := range r.serverCookie {
			changed := *r
			changed.serverCookie[i] ^= 1
			if c.proves(&changed, mine, time.Now()) {
				t.Errorf("with octet %d changed it proves as much", i)
			}
		}
		changed := *r
		changed.cookie[7] ^= 1
		if c.proves(&changed, mine, time.Now()) {
			t.Error("the cookie of another client proves as much")
		}
	})
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
