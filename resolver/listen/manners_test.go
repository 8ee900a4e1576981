package listen_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/listen"
)

// A duty is a message and the reply it must get, over UDP and TCP alike.
type duty struct {
	name   string
	packet []byte
	want   string         // see summary; empty for silence
	why    listen.Refusal // as observed
}

// header makes a message of a header and a body.
func header(flags uint16, counts [4]uint16, body ...[]byte) []byte {
	wire := []byte{0xBE, 0xEF}
	wire = binary.BigEndian.AppendUint16(wire, flags)
	for _, n := range counts {
		wire = binary.BigEndian.AppendUint16(wire, n)
	}
	return append(wire, bytes.Join(body, nil)...)
}

// The parts of messages. The question is for the A record of a.example.
var (
	ask     = []byte("\x01a\x07example\x00\x00\x01\x00\x01")
	askNone = []byte("\x01a\x07example\x00\x00\x01") // cut short
)

// opt makes an OPT record; ttl holds extended rcode, version and flags.
func opt(size uint16, ttl uint32, data string) []byte {
	return rr("\x00", dns.TypeOPT, size, ttl, data)
}

func rr(owner string, kind, class uint16, ttl uint32, data string) []byte {
	wire := binary.BigEndian.AppendUint16([]byte(owner), kind)
	wire = binary.BigEndian.AppendUint16(wire, class)
	wire = binary.BigEndian.AppendUint32(wire, ttl)
	wire = binary.BigEndian.AppendUint16(wire, uint16(len(data)))
	return append(wire, data...)
}

// option makes one EDNS option.
func option(code uint16, data string) string {
	wire := binary.BigEndian.AppendUint16(nil, code)
	return string(binary.BigEndian.AppendUint16(wire, uint16(len(data)))) + data
}

// tsigData is the data of a TSIG record with a MAC of 16 octets.
func tsigData(other string) string {
	return "\x0bhmac-sha256\x00" + "\x00\x00\x65\x00\x00\x00" + "\x01\x2c" + "\x00\x10" + strings.Repeat("m", 16) +
		"\xBE\xEF" + "\x00\x00" + other
}

const rd = 1 << 8

func opcode(n uint16) uint16 { return n << 11 }

// withOPT asks with one OPT record.
func withOPT(opt []byte) []byte { return header(rd, [4]uint16{1, 0, 0, 1}, ask, opt) }

func headerDuties() []duty {
	const plain = "q=a.example. an=1"
	return []duty{
		{"RFC 1035: a standard query is answered, RD copied and RA set", header(rd, [4]uint16{1}, ask), "NOERROR ra rd " + plain, listen.Accepted},
		{"RFC 1035: RD off stays off", header(0, [4]uint16{1}, ask), "NOERROR ra " + plain, listen.Accepted},
		{"RFC 1035: the Z bit is cleared, AA, TC, RA and a rcode in a query mean nothing", header(1<<10|1<<9|1<<7|1<<6|3, [4]uint16{1}, ask), "NOERROR ra " + plain, listen.Accepted},
		{"RFC 4035: CD is copied", header(1<<4, [4]uint16{1}, ask), "NOERROR cd ra " + plain, listen.Accepted},
		{"RFC 6840: AD in a query is harmless", header(1<<5, [4]uint16{1}, ask), "NOERROR ra " + plain, listen.Accepted},
		{"RFC 4343: the letter case of the question is kept", header(rd, [4]uint16{1}, []byte("\x01A\x07eXAMPle\x00\x00\x01\x00\x01")), "NOERROR ra rd q=A.eXAMPle. an=1", listen.Accepted},
		{"RFC 2181: any octet may be in a label", header(rd, [4]uint16{1}, []byte("\x04.\x00\\\xff\x00\x00\x01\x00\x01")), `NOERROR ra rd q=\.\000\\\255. an=1`, listen.Accepted},
		{"RFC 9619: no question", header(rd, [4]uint16{}), "FORMERR ra rd", listen.Malformed},
		{"RFC 9619: two questions", header(rd, [4]uint16{2}, ask, ask), "FORMERR ra rd", listen.Malformed},
		{"RFC 9619, 6891: no question, with EDNS", header(rd, [4]uint16{0, 0, 0, 1}, opt(1232, 0, "")), "FORMERR ra rd opt=v0,1232", listen.Malformed},
		{"RFC 9267: 65535 questions announced", header(rd, [4]uint16{65535}, ask), "FORMERR ra rd", listen.Malformed},
		{"RFC 9267: the question is cut short", header(rd, [4]uint16{1}, askNone), "FORMERR ra rd", listen.Malformed},
		{"RFC 9267: the question is missing", header(rd, [4]uint16{1}), "FORMERR ra rd", listen.Malformed},
		{"RFC 9267: a pointer in the question", header(rd, [4]uint16{1}, []byte("\xC0\x0C\x00\x01\x00\x01")), "FORMERR ra rd", listen.Malformed},
		{"RFC 1035: a label of 64 octets", header(rd, [4]uint16{1}, []byte("\x40"), bytes.Repeat([]byte("a"), 64), []byte("\x00\x00\x01\x00\x01")), "FORMERR ra rd", listen.Malformed},
		{"RFC 1035: a name of 257 octets", header(rd, [4]uint16{1}, bytes.Repeat([]byte("\x01a"), 128), []byte("\x00\x00\x01\x00\x01")), "FORMERR ra rd", listen.Malformed},
		{"a record is cut short", header(rd, [4]uint16{1, 0, 0, 1}, ask, []byte("\x00\x00")), "FORMERR ra rd q=a.example.", listen.Malformed},
		{"more records announced than there are", header(rd, [4]uint16{1, 9, 9, 9}, ask), "FORMERR ra rd q=a.example.", listen.Malformed},
		{"octets after the message", header(rd, [4]uint16{1}, ask, []byte("more")), "FORMERR ra rd q=a.example.", listen.Malformed},
		{"a record owned by a pointer that leads forward", header(rd, [4]uint16{1, 1}, ask, rr("\xC0\xFF", dns.TypeA, 1, 0, "\x0a\x00\x00\x01")), "FORMERR ra rd q=a.example.", listen.Malformed},
		{"records of answer and authority are ignored", header(rd, [4]uint16{1, 1, 1}, ask,
			rr("\xC0\x0C", dns.TypeA, 1, 60, "\x0a\x00\x00\x01"), rr("\x00", dns.TypeSVCB, 1, 60, "not what an SVCB record holds")), "NOERROR ra rd " + plain, listen.Accepted},
	}
}

func opcodeDuties() []duty {
	list := []duty{
		{"RFC 1996: NOTIFY is refused", header(opcode(4)|rd, [4]uint16{1}, ask), "opcode4 REFUSED q=a.example.", listen.NotAllowed},
		{"RFC 2136, 8914: UPDATE is refused, and said why", header(opcode(5), [4]uint16{1, 0, 0, 1}, ask, opt(1232, 0, "")), "opcode5 REFUSED q=a.example. opt=v0,1232,ede21:", listen.NotAllowed},
		{"RFC 2136: UPDATE with a broken body is refused", header(opcode(5), [4]uint16{1, 2, 3, 4}, ask), "opcode5 REFUSED q=a.example.", listen.NotAllowed},
		{"RFC 3425: IQUERY", header(opcode(1)|rd, [4]uint16{0, 1}, rr("\x00", dns.TypeA, 1, 0, "\x0a\x00\x00\x01")), "opcode1 NOTIMP", listen.NotImplemented},
		{"RFC 1035: STATUS", header(opcode(2)|rd, [4]uint16{}), "opcode2 NOTIMP", listen.NotImplemented},
		{"RFC 8490: DSO", header(opcode(6), [4]uint16{}, []byte("\x00\x01\x00\x08\x00\x00\x75\x30\x00\x00\x75\x30")), "opcode6 NOTIMP", listen.NotImplemented},
	}
	for _, n := range []uint16{3, 7, 8, 9, 10, 11, 12, 13, 14, 15} {
		list = append(list, duty{"RFC 8906, 6895: opcode that is not assigned, only QR set", header(opcode(n)|rd|1<<4, [4]uint16{1}, ask),
			fmt.Sprintf("opcode%d NOTIMP", n), listen.NotImplemented})
	}
	return list
}

func ednsDuties() []duty {
	const plain = "NOERROR ra rd q=a.example. an=1 opt=v0,1232"
	const formerr = "FORMERR ra rd q=a.example."
	good, cookie := opt(1232, 0, ""), func(n int) []byte { return opt(1232, 0, option(10, strings.Repeat("c", n))) }
	list := []duty{
		{"RFC 6891: OPT to those who send one", withOPT(good), plain, listen.Accepted},
		{"RFC 6891: a size below 512 is 512", withOPT(opt(0, 0, "")), plain, listen.Accepted},
		{"RFC 3225: DO is copied", withOPT(opt(1232, 1<<15, "")), plain + ",do", listen.Accepted},
		{"RFC 6891: unknown flags are ignored", withOPT(opt(1232, 0x7FFF, "")), plain, listen.Accepted},
		{"RFC 6891: unknown options are ignored and not echoed", withOPT(opt(1232, 0, option(65001, "x")+option(100, ""))), plain, listen.Accepted},
		{"RFC 6891: the extended rcode of a query is ignored", withOPT(opt(1232, 0xFF000000, "")), plain, listen.Accepted},
		{"RFC 6891: version 1", withOPT(opt(1232, 1<<16, "")), "BADVERS ra rd q=a.example. opt=v0,1232", listen.BadVersion},
		{"RFC 6891: version 255, DO, options of another form", withOPT(opt(1232, 255<<16|1<<15, "x")), "BADVERS ra rd q=a.example. opt=v0,1232,do", listen.BadVersion},
		{"RFC 6891: two OPT records", header(rd, [4]uint16{1, 0, 0, 2}, ask, good, good), formerr + " opt=v0,1232", listen.Malformed},
		{"RFC 6891: an OPT record that is not at the root", header(rd, [4]uint16{1, 0, 0, 1}, ask, rr("\x01a\x00", dns.TypeOPT, 1232, 0, "")), formerr, listen.Malformed},
		{"RFC 6891: an OPT record in another section is a record like any", header(rd, [4]uint16{1, 1}, ask, good), "NOERROR ra rd q=a.example. an=1", listen.Accepted},
		{"an option longer than the record", withOPT(opt(1232, 0, "\x00\x0a\x00\x09c")), formerr + " opt=v0,1232", listen.Malformed},
		{"half an option", withOPT(opt(1232, 0, "\x00\x0a\x00")), formerr + " opt=v0,1232", listen.Malformed},
		{"RFC 7873: a client cookie gets a server cookie", withOPT(cookie(8)), plain + ",cookie=cccccccc", listen.Accepted},
		{"RFC 7873: only the first cookie counts", withOPT(opt(1232, 0, option(10, "12345678")+option(10, "1"))), plain + ",cookie=12345678", listen.Accepted},
		{"RFC 7871: a client subnet is ignored", withOPT(opt(1232, 0, option(8, "\x00\x01\x18\x00\x0a\x00\x01"))), plain, listen.Accepted},
		{"RFC 7871: so is one that is no client subnet", withOPT(opt(1232, 0, option(8, "?"))), plain, listen.Accepted},
		{"RFC 7830: padding is tolerated", withOPT(opt(1232, 0, option(12, strings.Repeat("\x00", 300)))), plain, listen.Accepted},
		{"12,000 options", withOPT(opt(1232, 0, strings.Repeat(option(65001, ""), 12000))), plain, listen.Accepted},
		{"RFC 8945: a TSIG record of a key that nobody knows here", header(rd, [4]uint16{1, 0, 0, 1}, ask, rr("\x03key\x00", dns.TypeTSIG, 255, 0, tsigData("\x00\x00"))),
			"NOTAUTH ra rd q=a.example. tsig=key.,hmac-sha256.,mac0,error17,id48879", listen.BadKey},
		{"RFC 8945: the same with EDNS and a compressed key name", header(rd, [4]uint16{1, 0, 0, 2}, ask, good, rr("\x03key\xC0\x0E", dns.TypeTSIG, 255, 0, tsigData("\x00\x00"))),
			"NOTAUTH ra rd q=a.example. opt=v0,1232 tsig=key.example.,hmac-sha256.,mac0,error17,id48879", listen.BadKey},
		{"RFC 8945: TSIG is not the last record", header(rd, [4]uint16{1, 0, 0, 2}, ask, rr("\x03key\x00", dns.TypeTSIG, 255, 0, tsigData("\x00\x00")), good), formerr + " opt=v0,1232", listen.Malformed},
		{"RFC 8945: TSIG with a length that is not true", header(rd, [4]uint16{1, 0, 0, 1}, ask, rr("\x03key\x00", dns.TypeTSIG, 255, 0, tsigData("\x00\x09"))), formerr, listen.Malformed},
		{"RFC 8945: TSIG without data", header(rd, [4]uint16{1, 0, 0, 1}, ask, rr("\x03key\x00", dns.TypeTSIG, 255, 0, "")), formerr, listen.Malformed},
		{"RFC 2931: SIG(0) is ignored", header(rd, [4]uint16{1, 0, 0, 1}, ask, rr("\x00", dns.TypeSIG, 255, 0, "\x00\x00signature")), "NOERROR ra rd q=a.example. an=1", listen.Accepted},
	}
	for _, n := range []int{0, 1, 7, 9, 15, 41, 64} {
		list = append(list, duty{"RFC 7873: a cookie of illegal length", withOPT(cookie(n)), formerr + " opt=v0,1232", listen.Malformed})
	}
	for _, n := range []int{16, 24, 40} {
		list = append(list, duty{"RFC 7873: client and server cookie", withOPT(cookie(n)), plain + ",cookie=cccccccc", listen.Accepted})
	}
	return list
}

func silentDuties() []duty {
	return []duty{
		{"one octet", []byte{1}, "", listen.Short},
		{"less than a header", header(rd, [4]uint16{1}, ask)[:11], "", listen.Short},
		{"a response", header(1<<15|rd, [4]uint16{1}, ask), "", listen.Response},
		{"the response to NOTIFY", header(1<<15|opcode(4), [4]uint16{1}, ask), "", listen.Response},
		{"a malformed response", header(1<<15, [4]uint16{7}), "", listen.Response},
	}
}

// TestManners sends every message over UDP and over TCP. Silence is shown by the
// reply to the next query being the first to come.
func TestManners(t *testing.T) {
	watch := newRecorder()
	s := start(t, listen.Config{Observer: watch})
	next := header(rd, [4]uint16{1}, []byte("\x04next\x00\x00\x01\x00\x01"))
	for _, transport := range []string{"udp", "tcp"} {
		for _, group := range [][]duty{headerDuties(), opcodeDuties(), ednsDuties(), silentDuties()} {
			for _, d := range group {
				t.Run(transport+"/"+d.name, func(t *testing.T) {
					conn := dial(t, transport, s.addr)
					write(t, conn, d.packet)
					e := watch.await(t, func(e event) bool { return e.change == 0 })
					if e.why != d.why || e.transport != transport {
						t.Errorf("observed %s over %s, want %s", e.why, e.transport, d.why)
					}
					if d.want == "" && transport == "tcp" {
						ended(t, conn)
						return
					}
					want := d.want
					if want == "" {
						write(t, conn, next)
						want = "NOERROR ra rd q=next. an=1"
						watch.await(t, func(e event) bool { return e.served })
					}
					reply := read(t, conn)
					if got := summary(reply); got != want {
						t.Errorf("reply\n got %s\nwant %s", got, want)
					}
					if id := binary.BigEndian.Uint16(reply); id != 0xBEEF {
						t.Errorf("reply has id %x", id)
					}
				})
			}
		}
	}
}

// TestEmptyDatagram: a UDP packet of no octets is no reason to stop.
func TestEmptyDatagram(t *testing.T) {
	watch := newRecorder()
	s := start(t, listen.Config{Observer: watch})
	conn := dial(t, "udp", s.addr)
	write(t, conn, nil)
	if why := watch.refused(t); why != listen.Short {
		t.Errorf("refused because of %s", why)
	}
	write(t, conn, header(rd, [4]uint16{1}, ask))
	if got := summary(read(t, conn)); got != "NOERROR ra rd q=a.example. an=1" {
		t.Error(got)
	}
}
