package doctor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// The parts of the Tabular Data Stream protocol ([MS-TDS]) that lead to a TLS
// handshake: packets (2.2.3) and the PRELOGIN message (2.2.6.5).
const (
	tdsReply    = 0x04 // packet type of what a server answers
	tdsPrelogin = 0x12 // packet type of PRELOGIN, and of TLS until the handshake has ended
	tdsLast     = 0x01 // status of the last packet of a message

	tdsHeaderSize = 8
	tdsPacketSize = 4096 // the size of a packet before another one is negotiated
	tdsMaxMessage = 1 << 16

	tdsTokenVersion    = 0x00
	tdsTokenEncryption = 0x01
	tdsTokenEnd        = 0xff

	tdsEncryptOn           = 0x01
	tdsEncryptNotSupported = 0x02
	tdsEncryptRequired     = 0x03
)

var (
	errTDSNoPrelogin   = errors.New("it does not answer the pre-login of SQL Server")
	errTDSNoEncryption = errors.New("this SQL Server does not support encryption")
)

// startTDS exchanges pre-logins with a SQL Server and gives the connection that
// the TLS handshake goes over.
func startTDS(conn net.Conn) (net.Conn, error) {
	t := &tdsConn{Conn: conn}
	if _, err := t.Write(tdsPreloginMessage()); err != nil {
		return nil, err
	}
	message, err := t.readMessage()
	if err != nil {
		return nil, err
	}
	encryption, err := parsePrelogin(message)
	if err != nil {
		return nil, err
	}
	if encryption == tdsEncryptNotSupported {
		return nil, errTDSNoEncryption
	}
	return t, nil
}

// tdsPreloginMessage is a PRELOGIN of a client that wants everything encrypted.
func tdsPreloginMessage() []byte {
	const options = 2
	const data = options*5 + 1
	message := make([]byte, 0, data+7)
	message = append(message, tdsTokenVersion, 0, data, 0, 6)
	message = append(message, tdsTokenEncryption, 0, data+6, 0, 1)
	message = append(message, tdsTokenEnd)
	message = append(message, 0, 0, 0, 0, 0, 0) // no version: no driver is to be counted
	return append(message, tdsEncryptOn)
}

// parsePrelogin finds the encryption option in a PRELOGIN of a server.
func parsePrelogin(message []byte) (byte, error) {
	encryption, found := byte(0), false
	for at := 0; ; at += 5 {
		if at >= len(message) {
			return 0, fmt.Errorf("%w: its option list has no end", errTDSNoPrelogin)
		}
		if message[at] == tdsTokenEnd {
			break
		}
		if at+5 > len(message) {
			return 0, fmt.Errorf("%w: its option list is cut off", errTDSNoPrelogin)
		}
		offset := int(binary.BigEndian.Uint16(message[at+1:]))
		length := int(binary.BigEndian.Uint16(message[at+3:]))
		if offset+length > len(message) {
			return 0, fmt.Errorf("%w: an option lies outside the message", errTDSNoPrelogin)
		}
		if message[at] == tdsTokenEncryption && length >= 1 {
			encryption, found = message[offset], true
		}
	}
	if !found || encryption > tdsEncryptRequired {
		return 0, fmt.Errorf("%w: it says nothing of encryption", errTDSNoPrelogin)
	}
	return encryption, nil
}

// tdsConn carries a byte stream in TDS packets. TLS goes over it only until the
// handshake has ended; what comes after would go over the plain connection.
type tdsConn struct {
	net.Conn
	packetID byte
	rest     int  // bytes left in the packet that is being read
	last     bool // that packet is the last of its message
}

// Write sends one message, in as many packets as it takes.
func (c *tdsConn) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		part := p[written:min(len(p), written+tdsPacketSize-tdsHeaderSize)]
		packet := make([]byte, tdsHeaderSize, tdsHeaderSize+len(part))
		packet[0] = tdsPrelogin
		if written+len(part) == len(p) {
			packet[1] = tdsLast
		}
		binary.BigEndian.PutUint16(packet[2:], uint16(tdsHeaderSize+len(part)))
		packet[6] = c.packetID
		c.packetID++
		if _, err := c.Conn.Write(append(packet, part...)); err != nil {
			return written, err
		}
		written += len(part)
	}
	return written, nil
}

// Read reads what the packets hold.
func (c *tdsConn) Read(p []byte) (int, error) {
	for c.rest == 0 {
		if err := c.readHeader(); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(p[:min(len(p), c.rest)])
	c.rest -= n
	return n, err
}

func (c *tdsConn) readHeader() error {
	var header [tdsHeaderSize]byte
	if _, err := io.ReadFull(c.Conn, header[:]); err != nil {
		return err
	}
	length := int(binary.BigEndian.Uint16(header[2:]))
	if header[0] != tdsReply && header[0] != tdsPrelogin || length < tdsHeaderSize {
		return fmt.Errorf("%w: %d bytes that are no TDS packet", errTDSNoPrelogin, len(header))
	}
	c.rest, c.last = length-tdsHeaderSize, header[1]&tdsLast != 0
	return nil
}

// readMessage reads the packets of one message.
func (c *tdsConn) readMessage() ([]byte, error) {
	var message []byte
	for !c.last {
		if err := c.readHeader(); err != nil {
			return nil, err
		}
		if len(message)+c.rest > tdsMaxMessage {
			return nil, fmt.Errorf("%w: its answer has no end", errTDSNoPrelogin)
		}
		part := make([]byte, c.rest)
		if _, err := io.ReadFull(c.Conn, part); err != nil {
			return nil, err
		}
		c.rest = 0
		message = append(message, part...)
		if len(part) == 0 && !c.last {
			return nil, fmt.Errorf("%w: an empty packet", errTDSNoPrelogin)
		}
	}
	return message, nil
}
