package forward_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/forward"
	"pldns/resolver/resolvertest"
)

const contosoBlob = `
contoso.blob.core.windows.net. CNAME contoso.privatelink.blob.core.windows.net.
contoso.privatelink.blob.core.windows.net. CNAME blob.fra24prdstr02a.store.core.windows.net.
blob.fra24prdstr02a.store.core.windows.net. A 203.0.113.4`

func TestAnswersAsTheServerGaveThem(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	p := pool(t, u)
	tests := []struct {
		name      string
		asked     resolver.Question
		rcode     int
		answer    string
		authority string
	}{
		{"a whole chain", question("contoso.blob.core.windows.net", dns.TypeA), dns.RcodeSuccess, contosoBlob, ""},
		{"NXDOMAIN belongs to the end of the chain (RFC 6604)", question("absent.blob.core.windows.net", dns.TypeA), dns.RcodeNameError,
			"absent.blob.core.windows.net. CNAME absent.privatelink.blob.core.windows.net.",
			"privatelink.blob.core.windows.net. SOA azureprivatedns.net. azureprivatedns-host.microsoft.com. 1 3600 300 2419200 10"},
		{"NODATA (RFC 2308)", question("www.contoso.com", dns.TypeTXT), dns.RcodeSuccess, "",
			"contoso.com. SOA ns1.contoso.com. hostmaster.contoso.com. 1 3600 300 2419200 300"},
		{"the alias itself", question("db.contoso.com", dns.TypeCNAME), dns.RcodeSuccess,
			"db.contoso.com. CNAME momenta-eun.database.windows.net.", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reply := mustExchange(t, p, tt.asked)
			if reply.Rcode != tt.rcode || reply.Source != resolver.FromUpstream || reply.Group != "azure" || reply.Server != u.Addr.String() {
				t.Errorf("got %s from %v, group %q, server %q", dns.RcodeToString[reply.Rcode], reply.Source, reply.Group, reply.Server)
			}
			resolvertest.SameRecords(t, "answer", reply.Answer, tt.answer)
			resolvertest.SameRecords(t, "authority", reply.Authority, tt.authority)
		})
	}
}

// What leaves is written afresh (ARCHITECTURE.md, rule 9).
func TestWhatLeaves(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	p := pool(t, u)
	for _, do := range []bool{false, true} {
		for _, cd := range []bool{false, true} {
			u.Forget()
			asked := question("www.contoso.com", dns.TypeAAAA)
			asked.DNSSEC, asked.CheckingDisabled = do, cd
			mustExchange(t, p, asked)
			msg := u.Queries()[0].Msg
			opt := msg.IsEdns0()
			switch {
			case !msg.RecursionDesired || !msg.AuthenticatedData || msg.CheckingDisabled != cd || msg.Authoritative || msg.Truncated || msg.Zero:
				t.Errorf("CD %v: wrong header bits: %v", cd, msg.MsgHdr)
			case msg.Opcode != dns.OpcodeQuery || len(msg.Question) != 1 || msg.Question[0].Qtype != dns.TypeAAAA || msg.Question[0].Qclass != dns.ClassINET:
				t.Errorf("wrong question: %v", msg.Question)
			case len(msg.Answer)+len(msg.Ns) != 0 || len(msg.Extra) != 1:
				t.Errorf("records in a query: %v", msg)
			case opt == nil || opt.UDPSize() != 1232 || opt.Do() != do || opt.Version() != 0:
				t.Errorf("DO %v: wrong OPT: %v", do, opt)
			}
		}
	}
}

// lie is the honest answer with another address, spoilt by one behaviour, and
// then the honest answer.
func lie(spoil resolvertest.Behaviour) resolvertest.Behaviour {
	return resolvertest.Over(resolvertest.UDP, resolvertest.Both(spoil, resolvertest.Answer))
}

// A reply counts only if id, source, QR, opcode, name, type and class match;
// anything else is ignored and waiting goes on (RFC 5452 section 9.1, TuDoor).
func TestWhatIsNotTheReplyIsIgnored(t *testing.T) {
	lies := map[string]resolvertest.Behaviour{
		"wrong id":              resolvertest.WrongID,
		"wrong name":            resolvertest.WrongName,
		"wrong type":            resolvertest.WrongType,
		"wrong class":           resolvertest.WrongClass,
		"wrong opcode":          resolvertest.WrongOpcode,
		"wrong source":          resolvertest.WrongSource,
		"a query":               resolvertest.NoResponse,
		"no question":           resolvertest.NoQuestion,
		"one octet":             resolvertest.Bytes([]byte{1}),
		"nothing":               resolvertest.Bytes(nil),
		"garbage":               resolvertest.Bytes([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")),
		"SERVFAIL, wrong id":    forged(func(m *dns.Msg) { m.Id++; m.Rcode = dns.RcodeServerFailure }),
		"truncated, wrong id":   forged(func(m *dns.Msg) { m.Id++; m.Truncated = true }),
		"FORMERR, wrong id":     forged(func(m *dns.Msg) { m.Id++; m.Rcode = dns.RcodeFormatError }),
		"two questions":         forged(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }),
		"the address, QR clear": forged(func(m *dns.Msg) { m.Response = false }),
		// All that follows is right but for what a forger would rather not guess, or
		// breaks what it should be compared with.
		"the letter case":             forged(func(m *dns.Msg) { m.Question[0].Name = strings.ToLower(m.Question[0].Name) }),
		"FORMERR, no question":        bareRcode(dns.RcodeFormatError),
		"NOTIMP, no question":         bareRcode(dns.RcodeNotImplemented),
		"truncated":                   resolvertest.Truncated,
		"malformed":                   resolvertest.Broken,
		"malformed, then FORMERR":     resolvertest.Both(resolvertest.Broken, bareRcode(dns.RcodeFormatError)),
		"truncated, then a lie":       resolvertest.Both(resolvertest.Truncated, bareRcode(dns.RcodeFormatError)),
		"fewer records than promised": resolvertest.Both(resolvertest.Broken, resolvertest.Broken),
	}
	for name, spoil := range lies {
		t.Run(name, func(t *testing.T) {
			u := resolvertest.StartUpstream(t, resolvertest.AzureData)
			u.Always(lie(spoil))
			reply := mustExchange(t, pool(t, u), question("www.contoso.com", dns.TypeA))
			resolvertest.SameRecords(t, "answer", reply.Answer, "www.contoso.com. A 203.0.113.80")
			if total := u.Total(); total != 1 {
				t.Errorf("%d queries were sent, want 1: waiting should have gone on", total)
			}
		})
	}
}

// bareRcode answers with a header of 12 octets and nothing else.
func bareRcode(rcode byte) resolvertest.Behaviour {
	return func(a *resolvertest.Asked) {
		a.SendBytes([]byte{a.Raw[0], a.Raw[1], 0x81, 0x80 | rcode, 0, 0, 0, 0, 0, 0, 0, 0})
	}
}

// forged is the honest reply with a wrong address and one more change.
func forged(change func(*dns.Msg)) resolvertest.Behaviour {
	return resolvertest.Changed(func(m *dns.Msg) {
		for _, rr := range m.Answer {
			if a, ok := rr.(*dns.A); ok {
				a.A = []byte{192, 0, 2, 66}
			}
		}
		change(m)
	})
}

func TestAnotherServerIsAskedWhenOneFails(t *testing.T) {
	failures := map[string]resolvertest.Behaviour{
		"silent":            resolvertest.Drop,
		"SERVFAIL":          resolvertest.Rcode(dns.RcodeServerFailure),
		"REFUSED":           resolvertest.Rcode(dns.RcodeRefused),
		"NOTIMP":            resolvertest.Rcode(dns.RcodeNotImplemented),
		"FORMERR":           resolvertest.Rcode(dns.RcodeFormatError),
		"NOTAUTH":           resolvertest.Rcode(dns.RcodeNotAuth),
		"malformed":         resolvertest.Broken,
		"lame":              resolvertest.Referral,
		"a CNAME loop":      answering(t, resolvertest.Loop("www.contoso.com", 2)),
		"NXDOMAIN and data": resolvertest.Changed(func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }),
		"cut off, no TCP":   cutOff,
	}
	for name, failure := range failures {
		t.Run(name, func(t *testing.T) {
			bad := resolvertest.StartUpstream(t, resolvertest.AzureData)
			bad.Always(failure)
			good := resolvertest.StartUpstream(t, resolvertest.AzureData)
			p := newPool(t, forward.Config{
				Name: "azure", Servers: []forward.Server{plain(bad.Addr), plain(good.Addr)},
			})
			reply := mustExchange(t, p, question("www.contoso.com", dns.TypeA))
			resolvertest.SameRecords(t, "answer", reply.Answer, "www.contoso.com. A 203.0.113.80")
			if reply.Server != good.Addr.String() {
				t.Errorf("the answer is said to come from %s", reply.Server)
			}
			if bad.Total() == 0 {
				t.Error("the first server was not asked first")
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		good := resolvertest.StartUpstream(t, resolvertest.AzureData)
		p := newPool(t, forward.Config{
			Name: "azure", Servers: []forward.Server{plain(resolvertest.ClosedAddr(t)), plain(good.Addr)},
		})
		mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	})
}

// answering answers everything with the given records.
func answering(t *testing.T, text string) resolvertest.Behaviour {
	records := resolvertest.RRs(t, text)
	return resolvertest.Changed(func(m *dns.Msg) { m.Answer, m.Ns = records, nil })
}

// cutOff says over UDP that the answer does not fit, and breaks off over TCP.
func cutOff(a *resolvertest.Asked) {
	if a.Transport == resolvertest.UDP {
		resolvertest.Truncated(a)
	} else {
		resolvertest.BreakOff(a)
	}
}

// RFC 9520 section 3.1: at most three tries per server and transport.
func TestASilentServerIsAskedThreeTimesAndNoMore(t *testing.T) {
	u := resolvertest.StartUpstream(t)
	u.Always(resolvertest.Drop)
	p := newPool(t, forward.Config{Name: "azure", Servers: []forward.Server{plain(u.Addr)}, Timeout: 300 * time.Millisecond})
	_, err := exchange(p, question("www.contoso.com", dns.TypeA))
	var failed *forward.Error
	if !errors.As(err, &failed) {
		t.Fatalf("got %v, want a forward.Error", err)
	}
	if !failed.Timeout() || failed.InfoCode() != dns.ExtendedErrorCodeNoReachableAuthority || failed.Group != "azure" {
		t.Errorf("got %v: timeout %v, info code %d", failed, failed.Timeout(), failed.InfoCode())
	}
	if got := u.Total(); got > 3 {
		t.Errorf("the server was asked %d times", got)
	}
}

func TestAServerOutOfReachIsANetworkError(t *testing.T) {
	p := newPool(t, forward.Config{Name: "azure", Servers: []forward.Server{plain(resolvertest.ClosedAddr(t))}, Timeout: ample})
	_, err := exchange(p, question("www.contoso.com", dns.TypeA))
	var failed *forward.Error
	if !errors.As(err, &failed) || failed.Timeout() || failed.InfoCode() != dns.ExtendedErrorCodeNetworkError {
		t.Errorf("got %v, want a network error", err)
	}
}

func TestWhenAllRefuseThatIsTheReply(t *testing.T) {
	for _, rcode := range []int{dns.RcodeServerFailure, dns.RcodeRefused} {
		t.Run(dns.RcodeToString[rcode], func(t *testing.T) {
			first := resolvertest.StartUpstream(t)
			first.Always(resolvertest.Rcode(rcode))
			second := resolvertest.StartUpstream(t)
			second.Always(resolvertest.Changed(func(m *dns.Msg) {
				m.Rcode, m.Ns = rcode, nil
				m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus, ExtraText: "no signature"}}
			}))
			reply := mustExchange(t, pool(t, first, second), question("www.contoso.com", dns.TypeA))
			if reply.Rcode != rcode || len(reply.Answer)+len(reply.Authority) != 0 {
				t.Errorf("got %s with %d records", dns.RcodeToString[reply.Rcode], len(reply.Answer))
			}
			want := []resolver.Error{
				{Code: dns.ExtendedErrorCodeDNSBogus, Text: "no signature"},
				{Code: dns.ExtendedErrorCodeOther, Text: "upstream azure: " + second.Addr.String() + " answered " + dns.RcodeToString[rcode]},
			}
			if len(reply.Errors) != 2 || reply.Errors[0] != want[0] || reply.Errors[1] != want[1] {
				t.Errorf("got errors %v, want %v", reply.Errors, want)
			}
			if first.Total() != 1 || second.Total() != 1 {
				t.Errorf("asked %d and %d times, want once each", first.Total(), second.Total())
			}
		})
	}
}

func TestALateAnswerStillCounts(t *testing.T) {
	slow := resolvertest.StartUpstream(t, resolvertest.AzureData)
	silent := resolvertest.StartUpstream(t)
	asked := make(chan struct{})
	slow.Always(resolvertest.First(1, resolvertest.Delay(asked), resolvertest.Drop))
	silent.Always(resolvertest.First(1, func(*resolvertest.Asked) { close(asked) }, resolvertest.Drop))
	p := newPool(t, forward.Config{
		Name: "azure", Servers: []forward.Server{plain(slow.Addr), plain(silent.Addr)}, Timeout: ample,
	})
	reply := mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	if reply.Server != slow.Addr.String() {
		t.Errorf("the answer came from %s", reply.Server)
	}
}

func TestExchangeEndsWithItsContext(t *testing.T) {
	u := resolvertest.StartUpstream(t)
	ctx, cancel := context.WithCancel(context.Background())
	u.Always(func(*resolvertest.Asked) { cancel() })
	p, empty := forward.Pooled(newPool(t, forward.Config{Name: "azure", Servers: []forward.Server{plain(u.Addr)}, Timeout: time.Second}))
	defer empty() // when the question has been given up
	_, err := resolver.Exchange(ctx, p, question("www.contoso.com", dns.TypeA), resolver.Asker{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
}

func TestTooManyQuestionsAreShed(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	release := make(chan struct{})
	u.Always(resolvertest.Delay(release))
	p := newPool(t, forward.Config{Name: "azure", Servers: []forward.Server{plain(u.Addr)}, Timeout: ample, MaxInFlight: 1})
	first := make(chan error, 1)
	go func() {
		_, err := exchange(p, question("www.contoso.com", dns.TypeA))
		first <- err
	}()
	u.Wait(t, "www.contoso.com", dns.TypeA, 1)
	if _, err := exchange(p, question("www.contoso.com", dns.TypeAAAA)); !errors.Is(err, forward.ErrShed) {
		t.Errorf("got %v, want ErrShed", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("the question under way failed: %v", err)
	}
}

func TestNewTellsWhatIsWrong(t *testing.T) {
	tests := []struct {
		name   string
		config forward.Config
		want   string
	}{
		{"no name", forward.Config{}, "the upstream group has no name"},
		{"no servers", forward.Config{Name: "corp"}, "upstream corp has no servers: name at least one"},
		{"no address", forward.Config{Name: "corp", Servers: []forward.Server{{Text: "dns"}}},
			`upstream corp: server "dns" has no address that can be asked: give IP:port`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := forward.New(tt.config); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
