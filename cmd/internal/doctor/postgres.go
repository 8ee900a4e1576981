package doctor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// postgresSSLRequest is the code of an SSLRequest, in the place of a protocol
// version (PostgreSQL documentation, "Message Formats").
const postgresSSLRequest = 80877103

// postgresMaxError bounds an ErrorResponse in bytes.
const postgresMaxError = 4096

var (
	errPostgresNone  = errors.New("it does not answer the SSLRequest of PostgreSQL")
	errPostgresNoTLS = errors.New("this PostgreSQL server does not offer TLS")
)

// startPostgres asks a PostgreSQL server to go on with TLS.
func startPostgres(conn net.Conn) (net.Conn, error) {
	var request [8]byte
	binary.BigEndian.PutUint32(request[:4], uint32(len(request)))
	binary.BigEndian.PutUint32(request[4:], postgresSSLRequest)
	if _, err := conn.Write(request[:]); err != nil {
		return nil, err
	}
	if err := readPostgresAnswer(conn); err != nil {
		return nil, err
	}
	return conn, nil
}

// readPostgresAnswer reads the one byte that answers an SSLRequest, and not a
// byte more of what is to be protected by TLS (CVE-2021-23222).
func readPostgresAnswer(r io.Reader) error {
	var answer [1]byte
	if _, err := io.ReadFull(r, answer[:]); err != nil {
		return err
	}
	switch answer[0] {
	case 'S':
		return nil
	case 'N':
		return errPostgresNoTLS
	case 'E':
		return readPostgresError(r)
	default:
		return errPostgresNone
	}
}

// readPostgresError reads an ErrorResponse after its first byte: its length, then
// fields of a type byte and a text, each ended by a zero byte.
func readPostgresError(r io.Reader) error {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return fmt.Errorf("%w: %w", errPostgresNone, err)
	}
	length := binary.BigEndian.Uint32(header[:])
	if length < 5 || length > postgresMaxError {
		return errPostgresNone
	}
	body := make([]byte, length-4)
	if _, err := io.ReadFull(r, body); err != nil {
		return fmt.Errorf("%w: %w", errPostgresNone, err)
	}
	for field := range bytes.SplitSeq(body, []byte{0}) {
		if len(field) > 1 && field[0] == 'M' {
			return fmt.Errorf("this PostgreSQL server reports \"%s\"", foreign(string(field[1:])))
		}
	}
	return errors.New("this PostgreSQL server reports an error without a message")
}
