package doctor_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
)

// The server side of what comes before TLS, written down from the protocols'
// documents and not from the code under test.

// sqlServer is a SQL Server that says how it is with encryption and then goes on
// with TLS inside TDS packets of a small size.
func sqlServer(tb testing.TB, encryption byte, certificate tls.Certificate) func(net.Conn) {
	return func(conn net.Conn) {
		request, err := readTDS(conn)
		if err != nil {
			return
		}
		// VERSION and ENCRYPTION, the terminator, then their data: ENCRYPT_ON.
		if want := []byte{0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 0, 0, 0, 0, 0, 0, 1}; !bytes.Equal(request, want) {
			tb.Errorf("the pre-login is % x, want % x", request, want)
		}
		reply := []byte{
			0x00, 0, 16, 0, 6, // VERSION
			0x01, 0, 22, 0, 1, // ENCRYPTION
			0x02, 0, 23, 0, 1, // INSTOPT
			0xff,
			16, 0, 0x10, 0, 0, 0,
			encryption,
			0,
		}
		if _, err := conn.Write(tdsPacket(0x04, 1, reply)); err != nil || encryption == 2 {
			return
		}
		_ = tls.Server(&tdsServer{Conn: conn}, tlsConfig(certificate)).Handshake()
	}
}

func tdsPacket(kind, status byte, payload []byte) []byte {
	packet := []byte{kind, status, 0, 0, 0, 0, 1, 0}
	binary.BigEndian.PutUint16(packet[2:], uint16(8+len(payload)))
	return append(packet, payload...)
}

// readTDS reads a PRELOGIN packet.
func readTDS(r io.Reader) ([]byte, error) {
	var header [8]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	if header[0] != 0x12 {
		return nil, fmt.Errorf("packet type %#x, want a PRELOGIN", header[0])
	}
	payload := make([]byte, binary.BigEndian.Uint16(header[2:])-8)
	_, err := io.ReadFull(r, payload)
	return payload, err
}

// tdsServer carries TLS in TDS packets.
type tdsServer struct {
	net.Conn
	rest []byte
}

func (s *tdsServer) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		var err error
		if s.rest, err = readTDS(s.Conn); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *tdsServer) Write(p []byte) (int, error) {
	const size = 300 // so that every flight takes several packets
	for at := 0; at < len(p); at += size {
		part, status := p[at:min(len(p), at+size)], byte(0)
		if at+size >= len(p) {
			status = 1
		}
		if _, err := s.Conn.Write(tdsPacket(0x12, status, part)); err != nil {
			return at, err
		}
	}
	return len(p), nil
}

// postgresServer is a PostgreSQL server that answers an SSLRequest with a text.
func postgresServer(tb testing.TB, answer string, certificate tls.Certificate) func(net.Conn) {
	return func(conn net.Conn) {
		var request [8]byte
		if _, err := io.ReadFull(conn, request[:]); err != nil {
			return
		}
		if want := [8]byte{0, 0, 0, 8, 4, 210, 22, 47}; request != want {
			tb.Errorf("the SSLRequest is % x, want % x", request, want)
		}
		if _, err := conn.Write([]byte(answer)); err != nil || answer != "S" {
			return
		}
		_ = tls.Server(conn, tlsConfig(certificate)).Handshake()
	}
}

// mysqlGreeting is the greeting of a MySQL server with or without TLS.
func mysqlGreeting(withTLS bool) []byte {
	capabilities := uint32(0x80ff_f7ff)
	if withTLS {
		capabilities |= 0x800
	}
	payload := append([]byte{10}, "8.0.40-azure\x00"...)
	payload = append(payload, 7, 0, 0, 0)                                         // thread id
	payload = append(payload, "abcdefgh\x00"...)                                  // nonce and filler
	payload = append(payload, byte(capabilities), byte(capabilities>>8), 8, 2, 0) // charset, status
	payload = append(payload, byte(capabilities>>16), byte(capabilities>>24), 21) // nonce length
	payload = append(payload, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00ijklmnopqrst\x00caching_sha2_password\x00"...)
	return mysqlPacket(0, payload)
}

func mysqlPacket(sequence byte, payload []byte) []byte {
	header := []byte{byte(len(payload)), byte(len(payload) >> 8), byte(len(payload) >> 16), sequence}
	return append(header, payload...)
}

// mysqlServer is a MySQL server that greets, and goes on with TLS when asked to.
func mysqlServer(tb testing.TB, greeting []byte, certificate tls.Certificate) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := conn.Write(greeting); err != nil {
			return
		}
		var request [36]byte
		if _, err := io.ReadFull(conn, request[:]); err != nil {
			return
		}
		capabilities := binary.LittleEndian.Uint32(request[4:])
		if request[0] != 32 || request[3] != 1 || capabilities&0x800 == 0 || capabilities&0x200 == 0 {
			tb.Errorf("the SSLRequest is % x", request)
		}
		_ = tls.Server(conn, tlsConfig(certificate)).Handshake()
	}
}
