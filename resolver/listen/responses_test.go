package listen

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

// asking is who asks what: a name and a type.
type asking struct{ client, asked string }

// accountAt is what the reply to a question counts to, for a client of the estate.
func accountAt(t *testing.T, s *Server, asks asking) account {
	t.Helper()
	name, kind, _ := strings.Cut(asks.asked, " ")
	client := zones.NewClient(netip.MustParseAddr(asks.client), netip.AddrPort{})
	q := resolver.NewClientQuery(zones.MustName(name), dns.StringToType[kind], client)
	a := s.config.Handler.(*estate).Resolve(context.Background(), q)
	return s.accountOf(&q, &a)
}

// TestAccounts: which replies are of one kind. Names that a flood draws at random are.
func TestAccounts(t *testing.T) {
	s, err := New(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: newEstate(t)})
	if err != nil {
		t.Fatal(err)
	}
	const database, apps = "privatelink.database.windows.net", "env.azurecontainerapps.io"
	europe := func(name string) asking { return asking{"127.0.0.1", name} }
	asia := func(name string) asking { return asking{"127.200.0.1", name} }
	nobody := func(name string) asking { return asking{"203.0.113.1", name} }
	for _, row := range []struct {
		name      string
		one, next asking
		same      bool
	}{
		{"one name", europe("mydb.database.windows.net A"), europe("mydb.database.windows.net A"), true},
		{"another type of it that is there", europe("mydb." + database + " A"), europe("mydb." + database + " AAAA"), true},
		{"one that is not", europe("mydb." + database + " A"), europe("mydb." + database + " TXT"), false},
		{"two names", europe("mydb.database.windows.net A"), europe("probed.database.windows.net A"), false},
		{"two names of the outside", europe("www.example A"), europe("www.other.example A"), false},
		{"below one wildcard", europe("a1." + apps + " A"), europe("b2." + apps + " A"), true},
		{"nothing, below one wildcard", europe("a1." + apps + " TXT"), europe("b2." + apps + " TXT"), true},
		{"below one wildcard of records", europe("a1.wild.corp.contoso.com A"), europe("b2.wild.corp.contoso.com A"), true},
		{"denied by one zone", asia("a1." + database + " A"), asia("b2.c3." + database + " MX"), true},
		{"denied by two zones", asia("a1." + database + " A"), asia("a1.corp.contoso.com A"), false},
		{"denied outside, by one zone", europe("nothing.a1.example A"), europe("nothing.b2.example A"), true},
		{"denied outside, without a zone", europe("unproven.example A"), europe("unproven.example TXT"), true},
		{"failed below one name", europe("servfail.example A"), europe("broken.example TXT"), true},
		{"failed below two", europe("servfail.example A"), europe("servfail.other.example A"), false},
		{"refused to strangers", nobody("a1.example A"), nobody("b2.example.net TXT"), true},
		{"failed and denied", europe("servfail.example A"), europe("unproven.example A"), false},
	} {
		one, next := accountAt(t, s, row.one), accountAt(t, s, row.next)
		if (one == next) != row.same || one == 0 || next == 0 {
			t.Errorf("%s: of one kind: %v", row.name, one == next)
		}
	}
}

// replies is a server that is asked whether replies may go out.
type replies struct {
	*Server
	q query
	m memory
}

func newReplies(t *testing.T, l Limits, client string) *replies {
	t.Helper()
	s, err := New(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: newEstate(t), Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	p := &replies{Server: s}
	p.q.client.Addr = netip.MustParseAddr(client)
	return p
}

// ask asks a number of times for what counts to an account, and tells how many replies
// go out.
func (p *replies) ask(times int, about account) (passed int) {
	for range times {
		p.q.began = time.Now()
		p.m.open(p.Server, p.q.began)
		p.m.locate(p.q.client)
		if p.limited(&p.q, &p.m, new(request), Accepted) == Accepted && p.overdone(&p.q, new(request), about, "closed") == Accepted {
			passed++
		}
	}
	return passed
}

// TestResponsesOverTime: many questions at once are no matter, the same one over and
// over is; afterwards all is as before.
func TestResponsesOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newReplies(t, Limits{Responses: 10, ListedSlip: 1}, "10.0.0.1")
		const name, another, zone = account(3), account(5), account(8)
		if got := p.ask(10, name); got != 10 {
			t.Errorf("%d of the first 10 are answered", got)
		}
		// The first ten were of no account, because nobody had asked much before.
		if got := p.ask(1000, name); got != 10 {
			t.Errorf("%d of 1,000 in one moment are answered, want 10", got)
		}
		if got := p.ask(10, another); got != 10 {
			t.Errorf("%d of 10 for another name are answered", got)
		}
		if got := p.ask(1000, zone); got != 10*zoneShare {
			t.Errorf("%d of 1,000 denials of one zone are answered, want %d", got, 10*zoneShare)
		}
		answered := 0
		for range 100 { // 1,000 queries a second, for ten seconds
			time.Sleep(100 * time.Millisecond)
			answered += p.ask(100, name)
		}
		if answered < 95 || answered > 105 {
			t.Errorf("%d of a flood of ten seconds are answered, want 100", answered)
		}
		time.Sleep(2 * time.Second)
		if got := p.ask(10, name); got != 10 {
			t.Errorf("after the flood, %d of 10 are answered", got)
		}
	})
}

// A forwarder of a whole site asks thousands of names a second, each as often as its
// TTL says: that none of them is held back, and what a forged flood sends in its name
// costs none of its questions about others.
func TestForwarderOfASite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newReplies(t, Limits{Listed: 5000, Responses: 200, ListedSlip: 1}, "10.0.0.1")
		lost := 0
		for second := range 5 {
			for tick := range 100 { // 3,000 queries a second
				time.Sleep(10 * time.Millisecond)
				for i := range 30 {
					lost += 1 - p.ask(1, account((second*3000+tick*30+i)%10_000<<2|3))
				}
				if second == 4 { // the flood
					p.ask(15, account(1<<40|3))
				}
			}
		}
		if lost > 0 {
			t.Errorf("%d of 15,000 questions were not answered", lost)
		}
	})
}

// TestRepeatedQuestions: whoever asks the same over and over is told a few times, then to
// come over TCP, and whatever the way that the answer takes: from memory, decided at
// once, from the outside. A cookie and another address change that.
func TestRepeatedQuestions(t *testing.T) {
	l := startLimiting(t, Limits{Responses: 1, ListedSlip: 1, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}})
	ask := func(name string, kind uint16) *dns.Msg {
		return new(dns.Msg).SetQuestion(name, kind).SetEdns0(1232, false)
	}
	for i, row := range []struct {
		what string
		of   *dns.Msg
	}{
		{"from memory", mydb()},
		{"decided at once, never remembered", ask("probed.privatelink.database.windows.net.", dns.TypeA)},
		{"from the outside, never remembered", ask("fleeting.example.", dns.TypeA)},
		{"too large for UDP", ask("large.example.", dns.TypeTXT)},
		{"failed", ask("broken.example.", dns.TypeA)},
		{"denied", ask("nothing.example.", dns.TypeA)},
	} {
		from := fmt.Sprintf("127.0.1.%d", 1+i)
		f := l.flood(t, from, "", packed(t, row.of), floodSize)
		cut := 0
		for _, reply := range f.replies {
			if reply.Truncated && len(reply.Answer)+len(reply.Ns) == 0 && reply.Rcode == dns.RcodeSuccess {
				cut++
			}
		}
		whole := len(f.replies) - cut
		if row.what == "too large for UDP" { // all say TC
			whole = 1
		}
		if whole == 0 || whole > zoneShare*trickle || cut < floodSize-zoneShare*trickle || len(f.replies) != floodSize {
			t.Errorf("%s: %d whole replies, %d cut to nothing", row.what, whole, cut)
		}
	}
	if f := l.flood(t, "127.0.0.9", "", packed(t, mydb()), floodSize); f.count(dns.RcodeSuccess, false) != floodSize {
		t.Errorf("an exempt client is answered %d of %d times", f.count(dns.RcodeSuccess, false), floodSize)
	}
}

// TestProvenAddress: whoever returns the cookie of this server is there, and is not
// limited; whoever returns it from elsewhere is.
func TestProvenAddress(t *testing.T) {
	l := startLimiting(t, Limits{Listed: 1, Responses: 1, ListedSlip: 1})
	with := func(cookie string) []byte {
		m := mydb()
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie}}
		return packed(t, m)
	}
	first := l.flood(t, "127.0.2.1", "", with("0123456789abcdef"), 1)
	cookie := cookieOf(first.replies[0])
	if f := l.flood(t, "127.0.2.1", "", with(cookie), floodSize); f.count(dns.RcodeSuccess, false) != floodSize {
		t.Errorf("with its cookie, a client is answered %d of %d times", f.count(dns.RcodeSuccess, false), floodSize)
	}
	if f := l.flood(t, "127.0.2.2", "", with(cookie), floodSize); f.count(dns.RcodeSuccess, false) > trickle {
		t.Errorf("with the cookie of another, a client is answered %d of %d times", f.count(dns.RcodeSuccess, false), floodSize)
	}
}

// TestRandomNames: names that nobody asked before count together where they are denied.
func TestRandomNames(t *testing.T) {
	l := startLimiting(t, Limits{Responses: 1, ListedSlip: 1})
	answered := 0
	for i := range floodSize {
		m := new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.privatelink.database.windows.net.", i), dns.TypeA)
		answered += l.flood(t, "127.200.0.7", "", packed(t, m), 1).count(dns.RcodeNameError, false)
	}
	if answered == 0 || answered > floodSize/2 {
		t.Errorf("%d of %d names are denied over UDP", answered, floodSize)
	}
}
