package forward_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/forward"
	"pldns/resolver/resolvertest"
)

// RFC 1035 section 4.1.1, RFC 2181 section 9: TC means ask again over TCP.
func TestWhatIsCutOffIsAskedAgainOverTCP(t *testing.T) {
	long := strings.Repeat(`big.example. 60 IN TXT "`+strings.Repeat("x", 200)+"\"\n", 1)
	for i := range 40 {
		long += `big.example. 60 IN TXT "` + string(rune('a'+i%26)) + strings.Repeat("y", 150+i) + "\"\n"
	}
	u := resolvertest.StartUpstream(t, resolvertest.AzureData, long)
	u.On("www.contoso.com", resolvertest.Truncated)
	p := pool(t, u)
	reply := mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	resolvertest.SameRecords(t, "answer", reply.Answer, "www.contoso.com. A 203.0.113.80")
	if reply := mustExchange(t, p, question("big.example", dns.TypeTXT)); len(reply.Answer) != 41 {
		t.Errorf("got %d records of 41", len(reply.Answer))
	}
	if got := u.Total(resolvertest.TCP); got != 2 {
		t.Errorf("%d questions came over TCP, want 2", got)
	}
}

// RFC 6891 section 6.2.2: a server that does not know OPT is asked without.
func TestServersWithoutEDNS(t *testing.T) {
	bare := func(rcode int) resolvertest.Behaviour {
		return func(a *resolvertest.Asked) {
			if a.Msg.IsEdns0() == nil {
				resolvertest.Answer(a)
				return
			}
			resolvertest.Changed(func(m *dns.Msg) {
				m.Question, m.Answer, m.Ns, m.Extra, m.Rcode = nil, nil, nil, nil, rcode
			})(a)
		}
	}
	servers := map[string]resolvertest.Behaviour{
		"FORMERR":                    resolvertest.NoEDNS(dns.RcodeFormatError),
		"NOTIMP":                     resolvertest.NoEDNS(dns.RcodeNotImplemented),
		"FORMERR without a question": bare(dns.RcodeFormatError),
		"NOTIMP without a question":  bare(dns.RcodeNotImplemented),
		"BADVERS": func(a *resolvertest.Asked) {
			if a.Msg.IsEdns0() == nil {
				resolvertest.Answer(a)
				return
			}
			resolvertest.Changed(func(m *dns.Msg) { m.Answer, m.Rcode = nil, dns.RcodeBadVers })(a)
		},
	}
	for name, behaviour := range servers {
		t.Run(name, func(t *testing.T) {
			u := resolvertest.StartUpstream(t, resolvertest.AzureData)
			u.Always(behaviour)
			p := pool(t, u)
			for range 2 {
				reply := mustExchange(t, p, question("www.contoso.com", dns.TypeA))
				resolvertest.SameRecords(t, "answer", reply.Answer, "www.contoso.com. A 203.0.113.80")
			}
			var edns []bool
			for _, q := range u.Queries() {
				edns = append(edns, q.Msg.IsEdns0() != nil)
			}
			if want := []bool{true, false, false}; !slices.Equal(edns, want) {
				t.Errorf("queries had an OPT record: %v, want %v", edns, want)
			}
		})
	}
}

// 0x20: the letter case of the question must come back, and servers that cannot
// do that are found out over TCP and remembered.
func TestServersThatBreakTheLetterCase(t *testing.T) {
	const name = "a-name-with-enough-letters.contoso.com"
	data := name + ". 60 IN A 203.0.113.81\n"

	asked := func(u *resolvertest.Upstream) (spelt []string) {
		for _, q := range u.Queries() {
			spelt = append(spelt, string(q.Transport)+" "+q.Msg.Question[0].Name)
		}
		return spelt
	}
	lower := "udp " + name + "."

	t.Run("kept", func(t *testing.T) {
		u := resolvertest.StartUpstream(t, data)
		p := pool(t, u)
		for range 2 {
			mustExchange(t, p, question(name, dns.TypeA))
		}
		spelt := asked(u)
		if len(spelt) != 2 || spelt[0] == spelt[1] || spelt[0] == lower {
			t.Errorf("the name was asked as %v: want random letters each time", spelt)
		}
	})
	t.Run("broken", func(t *testing.T) {
		u := resolvertest.StartUpstream(t, data)
		u.Always(resolvertest.LowerCase)
		p := pool(t, u)
		for range 2 {
			reply := mustExchange(t, p, question(name, dns.TypeA))
			resolvertest.SameRecords(t, "answer", reply.Answer, data)
		}
		if spelt := asked(u); len(spelt) != 3 || !strings.HasPrefix(spelt[1], "tcp ") || spelt[2] != lower {
			t.Errorf("the name was asked as %v", spelt)
		}
	})
	t.Run("broken, without TCP", func(t *testing.T) {
		u := resolvertest.StartUpstream(t, data)
		u.Always(func(a *resolvertest.Asked) {
			if a.Transport == resolvertest.UDP {
				resolvertest.LowerCase(a)
			} else {
				resolvertest.HangUp(a)
			}
		})
		reply := mustExchange(t, pool(t, u), question(name, dns.TypeA))
		resolvertest.SameRecords(t, "answer", reply.Answer, data)
	})
	t.Run("a forger guesses all but the letters", func(t *testing.T) {
		u := resolvertest.StartUpstream(t, data)
		u.Always(lie(forged(func(m *dns.Msg) { m.Question[0].Name = strings.ToLower(m.Question[0].Name) })))
		p := pool(t, u)
		for range 2 {
			reply := mustExchange(t, p, question(name, dns.TypeA))
			resolvertest.SameRecords(t, "answer", reply.Answer, data)
		}
		if spelt := asked(u); slices.Contains(spelt, lower) {
			t.Errorf("one forged reply turned the random letters off: %v", spelt)
		}
	})
}

// A name in a record may point to the question, whose letters are mixed; clients
// do not see that.
func TestMixedLettersDoNotComeOut(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	reply := mustExchange(t, pool(t, u), question("momenta-eun.database.windows.net", dns.TypeA))
	for _, rr := range reply.Answer {
		if text := rr.String(); text != strings.Replace(strings.ToLower(text), "\tin\t", "\tIN\t", 1) &&
			strings.ToLower(rr.Header().Name) != rr.Header().Name {
			t.Errorf("mixed letters in %s", text)
		}
	}
}

// Somebody who guesses ids at the right port is cut short: TCP tells the truth.
func TestANearMissFloodGoesToTCP(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	u.Always(resolvertest.Over(resolvertest.UDP, func(a *resolvertest.Asked) {
		for i := range 1000 {
			forged(func(m *dns.Msg) { m.Id += uint16(i + 1) })(a)
		}
	}))
	reply := mustExchange(t, pool(t, u), question("www.contoso.com", dns.TypeA))
	resolvertest.SameRecords(t, "answer", reply.Answer, "www.contoso.com. A 203.0.113.80")
	if u.Total(resolvertest.TCP) != 1 {
		t.Errorf("asked over TCP %d times, want once", u.Total(resolvertest.TCP))
	}
}

// One name whose server does not know EDNS is asked without; all others as before,
// with DO where signatures are wanted.
func TestOneNameWithoutEDNSTakesItFromNoOther(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData, "srv.old.example. 60 IN A 203.0.113.9\n")
	u.On("srv.old.example", resolvertest.NoEDNS(dns.RcodeFormatError))
	p := pool(t, u)
	mustExchange(t, p, question("srv.old.example", dns.TypeA))
	u.Forget()
	signed := question("www.contoso.com", dns.TypeA)
	signed.DNSSEC = true
	mustExchange(t, p, signed)
	if opt := u.Queries()[0].Msg.IsEdns0(); opt == nil || !opt.Do() {
		t.Error("one name took EDNS and DO from all others")
	}
	u.Forget()
	mustExchange(t, p, question("srv.old.example", dns.TypeA))
	if got := u.Total(); got != 1 {
		t.Errorf("a name that is known to want no EDNS was asked %d times", got)
	}
	// Another name of the same domain may be signed all the same.
	u.Forget()
	signed = question("other.old.example", dns.TypeA)
	signed.DNSSEC = true
	mustExchange(t, p, signed)
	if opt := u.Queries()[0].Msg.IsEdns0(); opt == nil || !opt.Do() {
		t.Error("one name took DO from the signed names of its domain")
	}
	if s := p.State()[0]; len(s.Without) != 0 || s.Exceptions != 1 {
		t.Errorf("the state is %+v", s)
	}
}

// Likewise for the letter case, and for cookies.
func TestOneNameThatIsAnsweredOtherwiseChangesNoOther(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData, "a-long-enough-name.lower.example. 60 IN A 203.0.113.9\n")
	cookies := resolvertest.Cookies([]byte("a-server-cookie!"), false)
	u.Always(func(a *resolvertest.Asked) {
		if strings.HasSuffix(strings.ToLower(a.Msg.Question[0].Name), ".lower.example.") {
			resolvertest.LowerCase(a) // and no cookie
		} else {
			cookies(a)
		}
	})
	p := pool(t, u)
	for range 2 {
		mustExchange(t, p, question("www.contoso.com", dns.TypeA))
		mustExchange(t, p, question("a-long-enough-name.lower.example", dns.TypeA))
	}
	u.Forget()
	mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	q := u.Queries()[0]
	if cookie, _ := q.Cookie(); len(cookie) != 8+16 {
		t.Errorf("the server's cookie was forgotten: sent %x", cookie)
	}
	if name := q.Msg.Question[0].Name; name == strings.ToLower(name) { // once in 8192 by chance
		t.Errorf("the name was asked as %s", name)
	}
}

// A server that has shown EDNS understands queries: a reply of a bare header is not
// its own.
func TestABareRefusalOfAServerThatKnowsEDNS(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	p, empty := forward.Pooled(newPool(t, forward.Config{Name: "azure", Servers: []forward.Server{plain(u.Addr)}, Timeout: time.Second}))
	defer empty()
	mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	u.Always(bareRcode(dns.RcodeFormatError))
	u.Forget()
	if reply, err := exchange(p, question("db.contoso.com", dns.TypeA)); err == nil {
		t.Errorf("got %s", dns.RcodeToString[reply.Rcode])
	}
	for _, q := range u.Queries() {
		if q.Msg.IsEdns0() == nil {
			t.Error("the question was asked without EDNS")
		}
	}
}

// Where several unrelated names agree, and no other contradicts, it is the server:
// that is said, and shown.
func TestWhatUnrelatedNamesAgreeOn(t *testing.T) {
	var log bytes.Buffer
	u := resolvertest.StartUpstream(t)
	u.Always(resolvertest.NoEDNS(dns.RcodeFormatError))
	p := forward.Patient(newPool(t, forward.Config{Name: "azure", Timeout: ample, Servers: []forward.Server{plain(u.Addr)},
		Log: slog.New(slog.NewTextHandler(&log, nil))}))
	ask := func(names ...string) {
		for _, name := range names {
			mustExchange(t, p, question(name, dns.TypeA))
		}
	}
	ask("a.contoso.com", "b.contoso.com", "c.contoso.com", "d.contoso.com", "a.fabrikam.com", "a.example.org")
	if s := p.State()[0]; len(s.Without) != 0 {
		t.Errorf("three domains decided for the server: %+v", s)
	}
	ask("a.example.net")
	if s := p.State()[0]; !slices.Equal(s.Without, []string{"edns"}) {
		t.Errorf("four domains agree, and the state is %+v", s)
	}
	if text := log.String(); !strings.Contains(text, "without=edns") || !strings.Contains(text, "server="+u.Addr.String()) {
		t.Errorf("the log says %q", text)
	}
	u.Forget()
	ask("www.other.example")
	if got := u.Total(); got != 1 {
		t.Errorf("the server was asked %d times about a fifth domain", got)
	}
}

// A reply that holds more records than are read, or that cannot be read, is the end
// of asking that server, and says something of the name before it does of the server.
func TestAReplyThatIsTooMuch(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	big := tooMany(t)
	u.Always(func(a *resolvertest.Asked) {
		if a.Transport == resolvertest.UDP {
			resolvertest.Truncated(a)
		} else {
			big(a)
		}
	})
	p := pool(t, u)
	_, err := exchange(p, question("www.contoso.com", dns.TypeA))
	var failed *forward.Error
	if !errors.As(err, &failed) || failed.Timeout() || !strings.Contains(err.Error(), "more than 4096 records") {
		t.Errorf("got %v", err)
	}
	if got := u.Total(resolvertest.TCP); got != 1 {
		t.Errorf("it was asked for %d times", got)
	}
	if s := p.State()[0]; !s.Healthy || s.Failures != 0 {
		t.Errorf("one name counts against the server: %+v", s)
	}
	for i := range 12 { // what all unrelated names show is the server's
		_, _ = exchange(p, question(fmt.Sprintf("www.example%d.com", i), dns.TypeA))
	}
	if s := p.State()[0]; s.Healthy {
		t.Errorf("a server without one reply that can be read is well: %+v", s)
	}
}
