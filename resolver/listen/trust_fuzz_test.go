package listen

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/miekg/dns"

	"github.com/pires/go-proxyproto"
	"pldns/resolver/wire"
)

// FuzzProxy: whatever stands in front of a packet, it is a header in whole or
// none, a stream is read no further than a packet is, and another implementation
// agrees about who asks.
func FuzzProxy(f *testing.F) {
	const head = proxySignature + "\x21\x11\x00\x14\x0a\x00\x01\x07\x0a\x09\x00\x05\x03\xe7\x00\x35"
	f.Add([]byte(head + "\xee\x00\x05\x01\x07\x00\x00\x00rest"))
	f.Add([]byte(head + "\x03\x00\x04\x01\x02\x03\x04"))
	f.Add([]byte(head + "\x03\x00\x05\x01\x02\x03\x04\x05"))
	f.Add([]byte(proxySignature + "\x20\x00\x00\x00rest"))
	f.Add([]byte(proxySignature + "\x21\x00\x00\x00rest"))
	f.Add([]byte(proxySignature + "\x21\x21\xff\xff"))
	f.Add([]byte(proxySignature))
	f.Fuzz(func(t *testing.T, packet []byte) {
		original := bytes.Clone(packet)
		header, rest, err := parseProxy(packet)
		if !bytes.Equal(packet, original) {
			t.Fatal("the packet was changed")
		}
		stream := bytes.NewReader(packet)
		streamed, streamErr := readProxy(stream)
		if err != nil {
			if streamErr == nil {
				t.Fatal("a stream has a header that a packet has not")
			}
			return
		}
		left, _ := io.ReadAll(stream)
		if streamErr != nil || streamed != header || !bytes.Equal(left, rest) || !bytes.HasSuffix(packet, rest) {
			t.Fatalf("a packet gives %v and %x, a stream %v and %x, %v", header, rest, streamed, left, streamErr)
		}
		other, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(packet)))
		if err != nil || !header.source.IsValid() {
			return // ours may know more, or nothing
		}
		if addr := addrOf(other.SourceAddr); !addr.Equal(net.IP(header.source.AsSlice())) {
			t.Fatalf("the client is %s, for others %s", header.source, addr)
		}
	})
}

func addrOf(addr net.Addr) net.IP {
	var udp *net.UDPAddr
	if is, ok := addr.(*net.UDPAddr); ok {
		udp = is
	} else if tcp, ok := addr.(*net.TCPAddr); ok {
		return tcp.IP
	} else {
		return nil
	}
	return udp.IP
}

// FuzzSubnet: a client subnet that is understood comes back as it was, with its
// length as the scope, in a reply that stays well formed.
func FuzzSubnet(f *testing.F) {
	for _, seed := range []string{
		"", "\x00\x01\x00\x00", "\x00\x00\x00\x00", "\x00\x01\x18\x00\x0a\x00\x01", "\x00\x01\x20\x00\x0a\x00\x01\x07",
		"\x00\x02\x38\x00\xfd\x00\x00\x01\x00\x00\x00", "\x00\x01\x18\x18\x0a\x00\x01", "\x00\x01\x14\x00\x0a\x00\xff", "\x00\x03\x08\x00\x0a",
	} {
		f.Add([]byte(seed))
	}
	query := new(dns.Msg).SetQuestion("a.example.", dns.TypeA).SetEdns0(1232, false)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := subnet{data: data}
		if !s.read() {
			return
		}
		reply, err := new(dns.Msg).SetReply(query).SetEdns0(1232, false).Pack()
		if err != nil {
			t.Fatal(err)
		}
		opt, found := wire.LastOPT(reply)
		if !found {
			t.Fatal("there is no OPT record")
		}
		long := s.append(bytes.Clone(reply), opt)
		if len(long) != len(reply)+s.size() {
			t.Fatalf("%d octets more, want %d", len(long)-len(reply), s.size())
		}
		for _, message := range [][]byte{long, pad(bytes.Clone(long), opt)} {
			r, why := reparse(message)
			if why != nil {
				t.Fatal(why)
			}
			want := bytes.Clone(data)
			want[3] = want[2]
			if !bytes.Equal(r.subnet.data, want) {
				t.Fatalf("the option is %x, was %x", r.subnet.data, data)
			}
		}
	})
}

// reparse reads a reply as if it were a query.
func reparse(message []byte) (request, error) {
	message = bytes.Clone(message)
	message[2] &^= 0x80
	r, why := accept(message)
	if why != Accepted {
		return r, errors.New(why.String())
	}
	return r, nil
}
