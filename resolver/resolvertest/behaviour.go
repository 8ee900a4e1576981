package resolvertest

import (
	"bytes"
	"encoding/hex"
	"net"
	"strings"
	"sync/atomic"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
)

// Behaviour is what an [Upstream] does with one question. It runs on a goroutine
// of its own and may wait; it should stop waiting when [Asked].Stopped is closed.
type Behaviour func(*Asked)

// Asked is one question as a [Behaviour] finds it, with the ways to react to it.
// A behaviour that calls none of them is silent.
type Asked struct {
	Query
	Stopped <-chan struct{} // closed when the upstream is stopped
	// Stream is what the question came on, for those who break the rules there; nil but over
	// QUIC. Conn is its connection, over HTTP/3 too.
	Stream *quic.Stream
	Conn   *quic.Conn

	upstream *Upstream
	send     func(packet []byte)
	breakOff func(packet []byte) // nil over UDP
	hangUp   func()              // nil over UDP
	status   func(code int)      // nil but over HTTPS and HTTP/3
}

// Reply is the honest reply: what a recursive resolver with the data of the
// upstream would say. It is a fresh message that may be changed.
func (a *Asked) Reply() *dns.Msg {
	return a.upstream.data.Reply(a.Msg)
}

// Send sends a reply, cut to the size the asker takes if it goes over UDP.
func (a *Asked) Send(reply *dns.Msg) {
	if a.Transport == UDP {
		size := dns.MinMsgSize
		if opt := a.Msg.IsEdns0(); opt != nil {
			size = max(size, int(opt.UDPSize()))
		}
		reply.Truncate(size)
	}
	reply.Compress = true
	if packet, err := reply.Pack(); err == nil {
		a.send(packet)
	}
}

// SendBytes sends anything at all.
func (a *Asked) SendBytes(packet []byte) { a.send(packet) }

// Forge sends n packets to the port the question came from, as fast as they go,
// each after change has been at it. Only over UDP.
func (a *Asked) Forge(n int, packet []byte, change func(packet []byte)) {
	if a.Transport != UDP {
		return
	}
	for range n {
		change(packet)
		a.send(packet)
	}
}

// SendFromElsewhere sends a reply from another port than the one that was asked;
// it does nothing over a stream.
func (a *Asked) SendFromElsewhere(reply *dns.Msg) {
	if a.Transport != UDP {
		return
	}
	packet, err := reply.Pack()
	if err != nil {
		return
	}
	stranger, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(a.From))
	if err != nil {
		return
	}
	_, _ = stranger.Write(packet)
	_ = stranger.Close()
}

// Answer gives the honest reply. It is what an upstream does that was told
// nothing else.
func Answer(a *Asked) { a.Send(a.Reply()) }

// Drop says nothing.
func Drop(*Asked) {}

// Delay gives the honest reply once release is closed.
func Delay(release <-chan struct{}) Behaviour {
	return After(release, Answer)
}

// After does b once release is closed.
func After(release <-chan struct{}, b Behaviour) Behaviour {
	return func(a *Asked) {
		select {
		case <-release:
			b(a)
		case <-a.Stopped:
		}
	}
}

// Both does one thing and then another, with the same question.
func Both(first, second Behaviour) Behaviour {
	return func(a *Asked) {
		first(a)
		second(a)
	}
}

// First does early with the first n questions and late with the rest.
func First(n int, early, late Behaviour) Behaviour {
	var asked atomic.Int64
	return func(a *Asked) {
		if asked.Add(1) <= int64(n) {
			early(a)
		} else {
			late(a)
		}
	}
}

// Over does b with questions that come over the given transport, and answers the
// others honestly.
func Over(t Transport, b Behaviour) Behaviour {
	return func(a *Asked) {
		if a.Transport == t {
			b(a)
		} else {
			Answer(a)
		}
	}
}

// Changed answers with the honest reply after change has been at it.
func Changed(change func(reply *dns.Msg)) Behaviour {
	return func(a *Asked) {
		reply := a.Reply()
		change(reply)
		a.Send(reply)
	}
}

// Rcode answers with nothing but a response code, as SERVFAIL and REFUSED come.
func Rcode(rcode int) Behaviour {
	return Changed(func(reply *dns.Msg) {
		reply.Answer, reply.Ns = nil, nil
		reply.Rcode = rcode
	})
}

// Referral answers as a server does that does not recurse for the asker: it
// names the servers of a zone above the name and offers no recursion.
func Referral(a *Asked) {
	reply := a.Reply()
	reply.Answer, reply.Rcode, reply.RecursionAvailable = nil, dns.RcodeSuccess, false
	zone := "."
	if labels := dns.SplitDomainName(a.Msg.Question[0].Name); len(labels) > 0 {
		zone = dns.Fqdn(labels[len(labels)-1])
	}
	reply.Ns = []dns.RR{&dns.NS{
		Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 172800},
		Ns:  "ns1." + strings.TrimPrefix(zone, "."),
	}}
	a.Send(reply)
}

// WrongID answers with an id that was not asked with.
func WrongID(a *Asked) { Changed(func(reply *dns.Msg) { reply.Id++ })(a) }

// WrongName answers another name's question, with records of that name.
func WrongName(a *Asked) {
	Changed(func(reply *dns.Msg) {
		reply.Question[0].Name = "other." + reply.Question[0].Name
	})(a)
}

// WrongType answers a question for another type.
func WrongType(a *Asked) { Changed(func(reply *dns.Msg) { reply.Question[0].Qtype ^= 0x0101 })(a) }

// WrongClass answers a question of another class.
func WrongClass(a *Asked) {
	Changed(func(reply *dns.Msg) { reply.Question[0].Qclass = dns.ClassCHAOS })(a)
}

// WrongOpcode answers with an opcode that was not asked with.
func WrongOpcode(a *Asked) {
	Changed(func(reply *dns.Msg) { reply.Opcode = dns.OpcodeNotify })(a)
}

// NoResponse sends the honest reply with the QR bit clear, so that it is a query.
func NoResponse(a *Asked) { Changed(func(reply *dns.Msg) { reply.Response = false })(a) }

// NoQuestion sends the honest reply without its question.
func NoQuestion(a *Asked) { Changed(func(reply *dns.Msg) { reply.Question = nil })(a) }

// LowerCase answers as servers do that put the name of the question into lower
// case, which breaks 0x20.
func LowerCase(a *Asked) {
	Changed(func(reply *dns.Msg) {
		reply.Question[0].Name = strings.ToLower(reply.Question[0].Name)
	})(a)
}

// WrongSource sends the honest reply from another port. Over a stream it is
// silent.
func WrongSource(a *Asked) { a.SendFromElsewhere(a.Reply()) }

// Bytes sends the packet as it is.
func Bytes(packet []byte) Behaviour { return func(a *Asked) { a.SendBytes(packet) } }

// Broken sends a reply with the right header and question whose records cannot
// be read.
func Broken(a *Asked) {
	reply := a.Reply()
	reply.Answer, reply.Ns, reply.Extra = nil, nil, nil
	packet, err := reply.Pack()
	if err != nil {
		return
	}
	packet[7] = 1 // one answer record, which is a name that points at itself
	here := byte(len(packet))
	a.SendBytes(append(packet, 0xC0, here, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 1))
}

// Truncated says over UDP that the answer does not fit (RFC 1035 section 4.1.1),
// with nothing in it, and gives all of it over streams.
func Truncated(a *Asked) {
	Over(UDP, Changed(func(reply *dns.Msg) {
		reply.Answer, reply.Ns, reply.Truncated = nil, nil, true
	}))(a)
}

// NoEDNS answers queries with an OPT record as servers do that know nothing of
// it (RFC 6891 section 7): with rcode and without records. Others get an answer.
func NoEDNS(rcode int) Behaviour {
	return func(a *Asked) {
		if a.Msg.IsEdns0() == nil {
			Answer(a)
			return
		}
		Changed(func(reply *dns.Msg) {
			reply.Answer, reply.Ns, reply.Extra = nil, nil, nil
			reply.Rcode = rcode
		})(a)
	}
}

// Cookies answers as a server that knows DNS cookies (RFC 7873), with serverCookie
// as its part, which is 8 to 32 octets. Over UDP, queries without it get BADCOOKIE
// if strict, and an answer otherwise.
func Cookies(serverCookie []byte, strict bool) Behaviour {
	return func(a *Asked) {
		reply := a.Reply()
		sent, ok := a.Cookie()
		if ok && len(sent) >= 8 {
			content := append(sent[:8:8], serverCookie...)
			reply.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: hex.EncodeToString(content)}}
		}
		if strict && a.Transport == UDP && (!ok || !bytes.Equal(sent[min(8, len(sent)):], serverCookie)) {
			reply.Answer, reply.Ns, reply.Rcode = nil, nil, dns.RcodeBadCookie
		}
		a.Send(reply)
	}
}

// Cookie is the content of the cookie option of the query.
func (q Query) Cookie() (content []byte, ok bool) {
	opt := q.Msg.IsEdns0()
	if opt == nil {
		return nil, false
	}
	for _, option := range opt.Option {
		if cookie, is := option.(*dns.EDNS0_COOKIE); is {
			content, err := hex.DecodeString(cookie.Cookie)
			return content, err == nil
		}
	}
	return nil, false
}

// TTL answers with every TTL set to seconds.
func TTL(seconds uint32) Behaviour {
	return Changed(func(reply *dns.Msg) {
		for _, section := range [][]dns.RR{reply.Answer, reply.Ns} {
			for _, rr := range section {
				rr.Header().Ttl = seconds
			}
		}
	})
}

// Poison answers honestly and adds records nobody asked for: to the answer, the
// authority and the additional section.
func Poison(answer, authority, additional []dns.RR) Behaviour {
	return Changed(func(reply *dns.Msg) {
		reply.Answer = append(reply.Answer, answer...)
		reply.Ns = append(reply.Ns, authority...)
		reply.Extra = append(reply.Extra, additional...)
	})
}

// BreakOff sends half of the honest reply and closes the connection. Over UDP it
// is silent.
func BreakOff(a *Asked) {
	if a.breakOff == nil {
		return
	}
	if packet, err := a.Reply().Pack(); err == nil {
		a.breakOff(packet)
	}
}

// HangUp closes the connection without a word. Over UDP it is silent.
func HangUp(a *Asked) {
	if a.hangUp != nil {
		a.hangUp()
	}
}
