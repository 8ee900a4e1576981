package listen

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"testing/iotest"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/udpio"
	"pldns/resolver/wire"
	"pldns/zones"
)

// seeds are messages of every kind.
func seeds(f *testing.F) {
	add := func(m *dns.Msg) {
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
		f.Add(wire[:len(wire)-1])
		f.Add(append(wire, 0))
	}
	ask := func() *dns.Msg {
		return new(dns.Msg).SetQuestion("MyDB.privatelink.database.windows.net.", dns.TypeHTTPS)
	}
	add(ask())
	add(ask().SetEdns0(1232, true))
	add(ask().SetEdns0(65535, false))
	add(new(dns.Msg).SetNotify("example."))
	add(new(dns.Msg).SetUpdate("example."))
	add(new(dns.Msg).SetIxfr("example.", 1, "ns.example.", "mb.example."))

	options := ask().SetEdns0(4096, false)
	options.IsEdns0().Option = []dns.EDNS0{
		&dns.EDNS0_COOKIE{Cookie: "0011223344556677"}, &dns.EDNS0_TCP_KEEPALIVE{},
		&dns.EDNS0_SUBNET{Family: 1, SourceNetmask: 24, Address: net.IPv4(10, 0, 0, 0)}, &dns.EDNS0_PADDING{Padding: make([]byte, 20)},
	}
	add(options)
	version := ask().SetEdns0(512, false)
	version.IsEdns0().SetVersion(1)
	add(version)
	two := ask().SetEdns0(512, false).SetEdns0(512, false)
	add(two)
	signed := ask().SetEdns0(1232, false).SetTsig("key.example.", dns.HmacSHA256, 300, 1_700_000_000)
	signed.Extra[1].(*dns.TSIG).MAC, signed.Extra[1].(*dns.TSIG).MACSize = "00112233", 4
	add(signed)
	answered := new(dns.Msg).SetReply(ask())
	add(answered)
	f.Add([]byte{})
	f.Add(make([]byte, wire.HeaderSize))
	f.Add([]byte("\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"))
}

// FuzzAccept: whatever comes, there is silence or a well-formed reply with the
// same id, QR set, and no larger than the client can take.
func FuzzAccept(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, packet []byte) {
		original := bytes.Clone(packet)
		r, why := accept(packet)
		if !bytes.Equal(packet, original) {
			t.Fatal("the packet was changed")
		}
		if silent := len(packet) < wire.HeaderSize || packet[2]&0x80 != 0; silent != why.silent() {
			t.Fatalf("%s: %x", why, packet)
		} else if silent {
			return
		}
		if why != Accepted {
			check(t, original, &r, r.appendRefusal(nil, why, r.size), why.rcode())
			return
		}
		q, x := &query{asked: r.query(zones.Client{})}, newScratch()
		q.keep(&r)
		clear(packet) // nothing may refer to it any more
		if _, err := zones.ParseName(q.asked.Spelling); err != nil {
			t.Fatalf("the name is %q: %v", q.asked.Spelling, err)
		}
		for _, a := range answers(q.asked.Spelling) {
			wire, _, err := q.pack(x, &q.request, a)
			if err != nil {
				t.Fatalf("an answer does not pack: %v", err)
			}
			check(t, original, &q.request, wire, a.Rcode)
		}
		check(t, original, &q.request, q.request.appendRefusal(nil, Panicked, q.request.size), dns.RcodeServerFailure)
	})
}

// answers are a short one, one that must be cut, and a failure that explains itself.
func answers(name string) []resolver.Answer {
	var long []dns.RR
	for i := range 100 {
		long = append(long, &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(10, 0, 0, byte(i))})
	}
	return []resolver.Answer{
		{Records: long[:1]},
		{Records: long},
		{Rcode: dns.RcodeServerFailure, Errors: []resolver.Error{{Code: 22, Text: string(make([]byte, 2000))}}},
	}
}

// check checks a reply to packet.
func check(t *testing.T, packet []byte, r *request, made []byte, rcode int) {
	t.Helper()
	if len(made) > r.size || len(made) < wire.HeaderSize {
		t.Fatalf("a reply of %d octets, the limit is %d", len(made), r.size)
	}
	var reply dns.Msg
	if err := reply.Unpack(made); err != nil {
		t.Fatalf("the reply is malformed: %v: %x", err, made)
	}
	opcode := int(packet[2]>>3) & 0xF
	if !bytes.Equal(made[:2], packet[:2]) || !reply.Response || reply.Opcode != opcode || reply.Rcode != rcode || reply.Zero || reply.AuthenticatedData {
		t.Fatalf("the header of the reply is wrong: %v", &reply)
	}
	if len(reply.Question) > 1 || (reply.IsEdns0() != nil) != r.edns {
		t.Fatalf("the question or the OPT record of the reply is wrong: %v", &reply)
	}
	if end := wire.HeaderSize + len(r.question); len(r.question) > 0 && !bytes.Equal(made[wire.HeaderSize:end], packet[wire.HeaderSize:end]) {
		t.Fatalf("the question is %x, was %x", made[wire.HeaderSize:end], packet[wire.HeaderSize:end])
	}
}

// FuzzFrames: however a stream is cut up, it yields the messages that are in it
// and ends with an error.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x03abc\x00\x01d"))
	f.Add([]byte("\x00\x03ab"))
	f.Add([]byte("\x00\x00\x00\x01a"))
	f.Add([]byte("\xff\xff"))
	f.Add(append([]byte{0x10, 0x00}, make([]byte, 5000)...))
	f.Fuzz(func(t *testing.T, stream []byte) {
		want, wantErr := cut(stream)
		for _, reader := range []io.Reader{
			bytes.NewReader(stream), iotest.OneByteReader(bytes.NewReader(stream)),
			iotest.HalfReader(bytes.NewReader(stream)), iotest.DataErrReader(bytes.NewReader(stream)),
		} {
			frames := newFrames(reader)
			for i := 0; ; i++ {
				message, err := frames.next()
				if err != nil {
					if i != len(want) || (err == errEmpty) != (wantErr == errEmpty) {
						t.Fatalf("%d messages, then %v; want %d, then %v", i, err, len(want), wantErr)
					}
					break
				}
				if i >= len(want) || !bytes.Equal(message, want[i]) {
					t.Fatalf("message %d is %x", i, message)
				}
			}
		}
	})
}

// cut takes a stream apart the simple way.
func cut(stream []byte) (messages [][]byte, err error) {
	for len(stream) >= wire.LengthSize {
		size := int(binary.BigEndian.Uint16(stream))
		if size == 0 {
			return messages, errEmpty
		}
		if len(stream) < wire.LengthSize+size {
			break
		}
		messages = append(messages, stream[wire.LengthSize:wire.LengthSize+size])
		stream = stream[wire.LengthSize+size:]
	}
	return messages, io.EOF
}

// TestFramesResume: an error in between, such as a deadline, loses nothing.
func TestFramesResume(t *testing.T) {
	reader := iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader([]byte("\x00\x02ab"))))
	frames := frames{bufio.NewReader(reader)}
	if _, err := frames.next(); err != iotest.ErrTimeout {
		t.Fatalf("the error is %v", err)
	}
	if message, err := frames.next(); string(message) != "ab" || err != nil {
		t.Errorf("then %q, %v", message, err)
	}
}

// FuzzLocalAddr: control messages come from the system, but are bytes all the same.
func FuzzLocalAddr(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, udpio.ControlSize))
	f.Add([]byte("\x1c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x7f\x00\x00\x05\x7f\x00\x00\x05\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, control []byte) {
		if local, reply := udpio.LocalAddr(control); local.IsValid() != (reply != nil) {
			t.Errorf("%s with %x", local, reply)
		}
	})
}
