package doctor

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/azure"
)

// reading is a connection that gives what it was given and takes everything.
type reading struct {
	net.Conn
	from *bytes.Reader
}

func (r reading) Read(p []byte) (int, error)  { return r.from.Read(p) }
func (r reading) Write(p []byte) (int, error) { return len(p), nil }

func readingOf(data []byte) reading { return reading{from: bytes.NewReader(data)} }

func tdsBytes(kind, status byte, payload ...byte) []byte {
	packet := []byte{kind, status, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(packet[2:], uint16(8+len(payload)))
	return append(packet, payload...)
}

// printable fails the test if an error could move a terminal.
func printable(t *testing.T, err error) {
	if err == nil {
		return
	}
	for _, protocol := range []Protocol{SQLServer, PostgreSQL, MySQL} {
		seen, remedy := handshakeFault(protocol, err, DefaultTimeout)
		if text := clean(seen+remedy, maxText); strings.ContainsFunc(text, unicode.IsControl) || !utf8.ValidString(text) {
			t.Errorf("%q holds control characters", text)
		}
	}
}

// No bytes of a SQL Server do harm: the pre-login ends, and so do the packets that
// carry TLS, which hand on no byte of their headers.
func FuzzTDS(f *testing.F) {
	good := tdsBytes(4, 1, 1, 0, 6, 0, 1, 0xff, 1)
	f.Add(good)
	f.Add(append(bytes.Clone(good), tdsBytes(0x12, 1, 22, 3, 3, 0, 1, 2)...))
	f.Add(append(tdsBytes(4, 0, 1, 0, 6), tdsBytes(4, 1, 0, 1, 0xff, 3)...))
	f.Add(tdsBytes(4, 1, 1, 0xff, 0xff, 0xff, 0xff, 0xff))
	f.Add(tdsBytes(4, 0))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		conn, err := startTDS(readingOf(data))
		if err != nil {
			printable(t, err)
			return
		}
		read, buffer := 0, make([]byte, 100)
		for {
			n, err := conn.Read(buffer)
			read += n
			if err != nil {
				break
			}
		}
		if read+2*tdsHeaderSize > len(data)+tdsHeaderSize {
			t.Errorf("%d bytes came out of %d with headers", read, len(data))
		}
	})
}

// No greeting of a MySQL server does harm.
func FuzzMySQL(f *testing.F) {
	f.Add([]byte("\x1d\x00\x00\x00\x0a8.0\x00\x01\x02\x03\x04abcdefgh\x00\xff\xff\x08\x02\x00\xff\xff\x15"))
	f.Add([]byte("\x10\x00\x00\x00\xff\x69\x04Host blocked"))
	f.Add([]byte("\x02\x00\x00\x00\x0a8"))
	f.Add([]byte("\xff\xff\xff\x00"))
	f.Add([]byte("\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := startMySQL(readingOf(data))
		printable(t, err)
	})
}

// No answer to an SSLRequest does harm, and only its first byte is taken when TLS
// follows (CVE-2021-23222).
func FuzzPostgres(f *testing.F) {
	f.Add([]byte("S\x16\x03\x01"))
	f.Add([]byte("N"))
	f.Add([]byte("E\x00\x00\x00\x17SFATAL\x00Mgo\x1b[2Jaway\x00\x00"))
	f.Add([]byte("E\x7f\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		conn := readingOf(data)
		_, err := startPostgres(conn)
		printable(t, err)
		if err == nil && conn.from.Len() != len(data)-1 {
			t.Errorf("%d bytes were taken", len(data)-conn.from.Len())
		}
	})
}

// No DNS reply does harm: its chain is finite, what is lost was on it, and the text
// is printable.
func FuzzReply(f *testing.F) {
	for _, records := range [][]string{
		{"mydb.database.windows.net. CNAME mydb.privatelink.database.windows.net.", "mydb.privatelink.database.windows.net. A 10.0.1.4"},
		{"mydb.database.windows.net. CNAME a.example.", "a.example. CNAME mydb.database.windows.net."},
		{"mydb.database.windows.net. CNAME a\\027\\.b.example.", "a\\027\\.b.example. AAAA 2001:db8::1"},
	} {
		m := new(dns.Msg).SetQuestion("mydb.database.windows.net.", dns.TypeA)
		for _, text := range records {
			rr, err := dns.NewRR(text)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: 18, ExtraText: "\x1b[2J"})
		packet, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packet)
	}
	catalogue, name := azure.New(), zones.MustName("mydb.database.windows.net")
	f.Fuzz(func(t *testing.T, packet []byte) {
		reply := new(dns.Msg)
		if reply.Unpack(packet) != nil {
			return
		}
		a := newAnswer(netip.AddrPort{}, name, reply, reply)
		if got := len(a.chain.Links); got > len(reply.Answer) {
			t.Errorf("%d links of %d records", got, len(reply.Answer))
		}
		finding := Inspect(catalogue, a.chain)
		if finding.Kind == AliasLeft && finding.At.IsZero() {
			t.Errorf("%+v says nothing", finding)
		}
		if text := clean(a.text(), maxText); strings.ContainsFunc(text, unicode.IsControl) || !utf8.ValidString(text) {
			t.Errorf("%q holds control characters", text)
		}
	})
}
