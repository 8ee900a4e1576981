package forward_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// cookiesOf are the cookies that the queries had, in hexadecimal, with the
// transport in front where that is not UDP.
func cookiesOf(u *resolvertest.Upstream) (sent []string) {
	for _, q := range u.Queries() {
		cookie, _ := q.Cookie()
		text := hex.EncodeToString(cookie)
		if q.Transport != resolvertest.UDP {
			text = string(q.Transport)
		}
		sent = append(sent, text)
	}
	return sent
}

// RFC 7873 section 5: the client's part stays the same towards one server, and
// what the server adds comes back to it.
func TestCookiesAreRemembered(t *testing.T) {
	server := []byte("a-server-cookie!")
	for _, strict := range []bool{false, true} {
		u := resolvertest.StartUpstream(t, resolvertest.AzureData)
		u.Always(resolvertest.Cookies(server, strict))
		p := pool(t, u)
		for range 2 {
			reply := mustExchange(t, p, question("www.contoso.com", dns.TypeA))
			resolvertest.SameRecords(t, "answer", reply.Answer, "www.contoso.com. A 203.0.113.80")
		}
		sent := cookiesOf(u)
		if len(sent) < 2 || len(sent[0]) != 16 {
			t.Fatalf("strict %v: sent cookies %v", strict, sent)
		}
		want := []string{sent[0], sent[0] + hex.EncodeToString(server)}
		if strict {
			want = append(want, want[1])
		}
		if !slices.Equal(sent, want) {
			t.Errorf("strict %v: sent cookies %v, want %v", strict, sent, want)
		}
	}
}

func TestEveryServerGetsACookieOfItsOwn(t *testing.T) {
	var cookies []string
	for range 2 {
		u := resolvertest.StartUpstream(t, resolvertest.AzureData)
		mustExchange(t, pool(t, u), question("www.contoso.com", dns.TypeA))
		cookies = append(cookies, cookiesOf(u)...)
	}
	if cookies[0] == cookies[1] {
		t.Errorf("two servers got the same cookie %s", cookies[0])
	}
}

// RFC 7873 section 5.3: a reply with the wrong cookie is ignored, however right
// it is otherwise.
func TestAReplyWithTheWrongCookieIsIgnored(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	wrong := resolvertest.Changed(func(m *dns.Msg) {
		m.Answer[0].(*dns.A).A = []byte{192, 0, 2, 66}
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef0123456789abcdef"}}
	})
	u.Always(resolvertest.Both(wrong, resolvertest.Cookies([]byte("12345678"), false)))
	reply := mustExchange(t, pool(t, u), question("www.contoso.com", dns.TypeA))
	resolvertest.SameRecords(t, "answer", reply.Answer, "www.contoso.com. A 203.0.113.80")
	if u.Total() != 1 {
		t.Errorf("%d queries were sent, want 1", u.Total())
	}
}

// A server that knew cookies and sends none: TCP tells whether it was forged, and
// it may start anew.
func TestAServerThatForgetsItsCookies(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	u.Always(resolvertest.First(1, resolvertest.Cookies(bytes.Repeat([]byte{7}, 8), false), resolvertest.Answer))
	p := pool(t, u)
	for range 3 {
		reply := mustExchange(t, p, question("www.contoso.com", dns.TypeA))
		resolvertest.SameRecords(t, "answer", reply.Answer, "www.contoso.com. A 203.0.113.80")
	}
	sent := cookiesOf(u)
	want := []string{sent[0], sent[0] + "0707070707070707", "tcp", sent[0]}
	if !slices.Equal(sent, want) {
		t.Errorf("sent cookies %v, want %v", sent, want)
	}
}

// A reply without the cookie is not believed as long as the right one may come.
func TestAReplyWithoutTheCookieDoesNotEndTheWait(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	honestly := resolvertest.Cookies([]byte("12345678"), false)
	u.Always(honestly)
	p := pool(t, u)
	mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	u.Always(resolvertest.Both(forged(func(m *dns.Msg) { m.IsEdns0().Option = nil }), honestly))
	u.Forget()
	reply := mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	resolvertest.SameRecords(t, "answer", reply.Answer, "www.contoso.com. A 203.0.113.80")
	if u.Total() != 1 || p.State()[0].Exceptions != 0 {
		t.Errorf("%d queries were sent; state %+v", u.Total(), p.State()[0])
	}
}
