package querylog

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Syslog is where lines go as messages of syslog (RFC 5424): one in a datagram at a Unix
// socket or over UDP (RFC 5426), or one after another with its length in front of it (RFC
// 6587 section 3.4.1) over TCP or TLS (RFC 5425).
type Syslog struct {
	Network string // "unixgram", "udp" or "tcp"
	Address string // the path of a socket, or an address and port
	// TLS is how the receiver is known, over TLS; nil for none.
	TLS *tls.Config
	// Facility is its number (RFC 5424 section 6.2.1), and Host who sends; empty for nobody.
	Facility int
	Host     string
}

const (
	// syslogPatience is how long a receiver may take for what is sent to it.
	syslogPatience = 5 * time.Second
	// syslogBatch is how many messages wait at most for one write.
	syslogBatch = 64
)

// The severities that are used (RFC 5424 section 6.2.1).
const (
	warning       = 4
	informational = 6
)

// messages is a sink that sends messages of syslog. Those that the receiver does not take
// stay until it does: then others wait in the queue, and are dropped when it is full.
type messages struct {
	to      Syslog
	host    string
	trouble func(error) // told why the receiver takes nothing
	ctx     context.Context
	stop    context.CancelFunc
	text    bytes.Buffer
	encoder *json.Encoder
	waiting [][]byte
	pause   time.Duration

	mu     sync.Mutex // held to change conn
	conn   net.Conn   // nil when there is none
	gone   chan struct{}
	writer *bufio.Writer
}

func newMessages(to Syslog, trouble func(error)) *messages {
	m := &messages{to: to, host: syslogHost(to.Host), trouble: trouble, pause: restFirst}
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.encoder = json.NewEncoder(&m.text)
	m.encoder.SetEscapeHTML(false)
	return m
}

// syslogHost is a name of a host as it may stand in a message: printable ASCII (RFC 5424
// section 6).
func syslogHost(name string) string {
	const longest = 255
	name = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, name)
	return cmp.Or(name[:min(len(name), longest)], "-")
}

// Add implements [sink].
func (m *messages) Add(l *line) (full bool) {
	severity := informational
	if l.RcodeNum != dns.RcodeSuccess && l.RcodeNum != dns.RcodeNameError {
		severity = warning
	}
	m.text.Reset()
	m.text.WriteString("<" + strconv.Itoa(m.to.Facility*8+severity) + ">1 " + l.Time + " " + m.host + " pldns " +
		strconv.Itoa(os.Getpid()) + " query - ")
	_ = m.encoder.Encode(l)
	m.waiting = append(m.waiting, bytes.Clone(bytes.TrimSuffix(m.text.Bytes(), []byte{'\n'})))
	return len(m.waiting) >= syslogBatch
}

// Flush implements [sink].
func (m *messages) Flush() (written int, err error) {
	defer m.Reset()
	for len(m.waiting) > 0 {
		sent, err := m.send()
		m.waiting, written = m.waiting[sent:], written+sent
		switch {
		case err == nil:
			m.pause = restFirst
			continue
		case m.ctx.Err() != nil:
			return written, err
		}
		m.trouble(err)
		m.hangUp()
		if m.to.Network == "udp" {
			return written, err // which promises nothing
		}
		if !rest(m.ctx, &m.pause) {
			return written, err
		}
	}
	return written, nil
}

// send sends what waits, and gives how many messages the system took whole.
func (m *messages) send() (sent int, err error) {
	if m.conn != nil && m.hasGone() {
		m.hangUp()
	}
	if m.conn == nil {
		if err := m.connect(); err != nil {
			return 0, err
		}
	}
	_ = m.conn.SetWriteDeadline(time.Now().Add(syslogPatience))
	if m.to.Network != "tcp" {
		for sent < len(m.waiting) {
			if _, err := m.conn.Write(m.waiting[sent]); err != nil {
				return sent, err
			}
			sent++
		}
		return sent, nil
	}
	for _, message := range m.waiting {
		_, _ = m.writer.WriteString(strconv.Itoa(len(message)) + " ") // the error is that of Flush
		_, _ = m.writer.Write(message)
	}
	if err := m.writer.Flush(); err != nil {
		return 0, err // some of them may come twice
	}
	return len(m.waiting), nil
}

// hasGone tells whether the receiver has closed the connection.
func (m *messages) hasGone() bool {
	select {
	case <-m.gone:
		return true
	default:
		return false
	}
}

// connect opens a connection. Over TCP the other end is watched: it has nothing to say.
func (m *messages) connect() error {
	ctx, cancel := context.WithTimeout(m.ctx, syslogPatience)
	defer cancel()
	var dialer interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = new(net.Dialer)
	if m.to.TLS != nil {
		dialer = &tls.Dialer{Config: m.to.TLS}
	}
	conn, err := dialer.DialContext(ctx, m.to.Network, m.to.Address)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil {
		conn.Close()
		return net.ErrClosed
	}
	m.conn, m.gone = conn, make(chan struct{})
	if m.to.Network != "tcp" {
		return nil
	}
	m.writer = bufio.NewWriter(conn)
	go func(gone chan struct{}) { // ends with the connection
		defer close(gone)
		_, _ = conn.Read(make([]byte, 1))
	}(m.gone)
	return nil
}

// hangUp closes the connection.
func (m *messages) hangUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn == nil {
		return
	}
	m.conn.Close()
	if m.to.Network == "tcp" {
		<-m.gone
	}
	m.conn = nil
}

// Reset implements [sink].
func (m *messages) Reset() {
	clear(m.waiting)
	m.waiting = m.waiting[:0]
}

// Stale implements [sink].
func (*messages) Stale() {}

// Close implements [sink].
func (m *messages) Close() error {
	m.stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn == nil {
		return nil
	}
	m.conn.Close()
	if m.to.Network == "tcp" {
		<-m.gone
	}
	return nil
}
