package doctor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// The parts of the MySQL protocol that lead to a TLS handshake: the greeting
// (Protocol::HandshakeV10) and the SSLRequest.
const (
	mysqlMaxPacket = 4096 // a greeting has some hundred bytes
	mysqlVersion   = 10
	mysqlError     = 0xff

	mysqlClientProtocol41       = 0x0000_0200
	mysqlClientSSL              = 0x0000_0800
	mysqlClientSecureConnection = 0x0000_8000

	mysqlCharset = 45 // utf8mb4_general_ci
)

var (
	errMySQLNone  = errors.New("it does not greet as MySQL does")
	errMySQLNoTLS = errors.New("this MySQL server does not offer TLS")
)

// startMySQL reads the greeting of a MySQL server and asks to go on with TLS.
func startMySQL(conn net.Conn) (net.Conn, error) {
	packet, sequence, err := readMySQLPacket(conn)
	if err != nil {
		return nil, err
	}
	capabilities, err := parseMySQLGreeting(packet)
	if err != nil {
		return nil, err
	}
	if capabilities&mysqlClientSSL == 0 {
		return nil, errMySQLNoTLS
	}
	request := make([]byte, 4+32)
	request[0], request[3] = 32, sequence+1
	binary.LittleEndian.PutUint32(request[4:], mysqlClientProtocol41|mysqlClientSSL|mysqlClientSecureConnection)
	binary.LittleEndian.PutUint32(request[8:], 1<<24)
	request[12] = mysqlCharset
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	return conn, nil
}

// readMySQLPacket reads one packet: three bytes of length, a sequence number, and
// the payload.
func readMySQLPacket(r io.Reader) (payload []byte, sequence byte, err error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, 0, err
	}
	length := int(header[0]) | int(header[1])<<8 | int(header[2])<<16
	if length == 0 || length > mysqlMaxPacket {
		return nil, 0, fmt.Errorf("%w: a packet of %d bytes", errMySQLNone, length)
	}
	payload = make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errMySQLNone, err)
	}
	return payload, header[3], nil
}

// parseMySQLGreeting reads the capabilities out of a greeting. A server that turns
// a client away sends an error in its place.
func parseMySQLGreeting(packet []byte) (capabilities uint32, err error) {
	switch {
	case len(packet) > 3 && packet[0] == mysqlError:
		code := binary.LittleEndian.Uint16(packet[1:])
		return 0, fmt.Errorf("this MySQL server reports error %d, \"%s\"", code, foreign(string(packet[3:])))
	case len(packet) < 1 || packet[0] != mysqlVersion:
		return 0, errMySQLNone
	}
	end := bytes.IndexByte(packet[1:], 0) // of the version of the server
	if end < 0 {
		return 0, fmt.Errorf("%w: its version has no end", errMySQLNone)
	}
	// A thread id of four bytes, eight bytes of a nonce and a filler come first.
	rest := packet[1+end+1:]
	const at = 4 + 8 + 1
	if len(rest) < at+2 {
		return 0, fmt.Errorf("%w: the greeting is cut off", errMySQLNone)
	}
	capabilities = uint32(binary.LittleEndian.Uint16(rest[at:]))
	if len(rest) >= at+7 { // a character set and a status stand between the halves
		capabilities |= uint32(binary.LittleEndian.Uint16(rest[at+5:])) << 16
	}
	return capabilities, nil
}
