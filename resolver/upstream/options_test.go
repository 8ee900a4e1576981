package upstream_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

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
