package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
	"pldns/zones"
)

// HostLookup is what the operating system answers; [net.Resolver] is one.
type HostLookup interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// edns is the UDP size that is offered, and what asks for extended errors.
const edns = 1232

// datagrams is how often a question is sent over UDP, in equal parts of its time.
const datagrams = 3

// answer is what one server says about the addresses of a name.
type answer struct {
	server    netip.AddrPort
	rcode     int
	errors    []string // extended errors (RFC 8914), in words
	prohibits bool     // one of them says that the client is in no network
	truncated bool
	chain     Chain // over the A answer; the addresses of both families at its end
	public6   []netip.Addr
	err       error // there is no answer
}

// lookup asks a server for the addresses of a name, over UDP.
func lookup(ctx context.Context, server netip.AddrPort, name zones.Name, timeout time.Duration) answer {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	replies := make(chan *dns.Msg, 1)
	failures := make(chan error, 1)
	go func() {
		reply, err := askUDP(ctx, server, newQuery(name, dns.TypeAAAA))
		replies <- reply
		failures <- err
	}()
	v4, err4 := askUDP(ctx, server, newQuery(name, dns.TypeA))
	v6, err6 := <-replies, <-failures
	if err := errors.Join(err4, err6); err != nil {
		if err4 != nil {
			err = err4
		}
		return answer{server: server, err: err}
	}
	return newAnswer(server, name, v4, v6)
}

// newAnswer reads the replies to the questions for A and AAAA as one answer.
func newAnswer(server netip.AddrPort, name zones.Name, v4, v6 *dns.Msg) answer {
	a := answer{server: server, rcode: v4.Rcode, truncated: v4.Truncated || v6.Truncated, chain: Follow(name, v4.Answer)}
	six := Follow(name, v6.Answer)
	if len(a.chain.Addresses) == 0 && len(six.Addresses) > 0 {
		a.chain, a.rcode = six, v6.Rcode
	} else {
		a.chain.Addresses = append(a.chain.Addresses, six.Addresses...)
	}
	for _, addr := range six.Addresses {
		if !zones.IsPrivate(addr) {
			a.public6 = append(a.public6, addr)
		}
	}
	a.readErrors(v4)
	return a
}

// readErrors reads the extended errors of a reply.
func (a *answer) readErrors(reply *dns.Msg) {
	opt := reply.IsEdns0()
	if opt == nil {
		return
	}
	for _, option := range opt.Option {
		e, is := option.(*dns.EDNS0_EDE)
		if !is {
			continue
		}
		text := fmt.Sprintf("extended error %d", e.InfoCode)
		if title := dns.ExtendedErrorCodeToString[e.InfoCode]; title != "" {
			text += ", " + title
		}
		if e.ExtraText != "" {
			text += ": " + foreign(e.ExtraText)
		}
		a.errors = append(a.errors, text)
		a.prohibits = a.prohibits || e.InfoCode == dns.ExtendedErrorCodeProhibited
	}
}

// addresses are those at the end of the chain, sorted.
func (a answer) addresses() []netip.Addr {
	sorted := slices.Clone(a.chain.Addresses)
	slices.SortFunc(sorted, netip.Addr.Compare)
	return slices.Compact(sorted)
}

// text is an answer in one line: response code, chain, extended errors.
func (a answer) text() string {
	var parts []string
	if a.rcode != dns.RcodeSuccess {
		parts = append(parts, wire.RcodeName(a.rcode))
	}
	if chain := a.chain.String(); chain != "" {
		parts = append(parts, chain)
	} else if a.rcode == dns.RcodeSuccess {
		parts = append(parts, "no address and no alias")
	}
	for _, text := range a.errors {
		parts = append(parts, "("+text+")")
	}
	return strings.Join(parts, " ")
}

// askUDP asks one question and waits for the reply to it, until the context ends.
func askUDP(ctx context.Context, server netip.AddrPort, query *dns.Msg) (*dns.Msg, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "udp", server.String())
	if err != nil {
		return nil, err
	}
	conn := &dns.Conn{Conn: raw, UDPSize: edns}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	end, _ := ctx.Deadline()
	for left := datagrams; ; left-- {
		wait := time.Until(end) / time.Duration(left)
		reply, err := exchange(ctx, conn, query, time.Now().Add(wait))
		again := isTimeout(err) || errors.Is(err, errOdd)
		if left == 1 || !again || ctx.Err() != nil {
			return reply, err
		}
	}
}

// exchange sends a query once and reads until the reply to it comes. What is no
// reply to it is passed over, and told if nothing better comes.
func exchange(ctx context.Context, conn *dns.Conn, query *dns.Msg, deadline time.Time) (*dns.Msg, error) {
	if err := conn.SetReadDeadline(deadline); err != nil {
		return nil, ended(ctx, err)
	}
	if err := conn.WriteMsg(query); err != nil {
		return nil, ended(ctx, err)
	}
	var odd error
	for {
		packet, err := conn.ReadMsgHeader(nil)
		if errors.Is(err, dns.ErrShortRead) {
			odd = fmt.Errorf("%w: too few bytes for a DNS message", errOdd)
			continue
		}
		if err != nil {
			if err = ended(ctx, err); odd != nil && isTimeout(err) {
				return nil, odd
			}
			return nil, err
		}
		reply, err := read(packet, query)
		if err == nil {
			return reply, nil
		}
		odd = err
	}
}

// errOdd says that a server sent something that is not the reply.
var errOdd = errors.New("no reply, but")

// ended is the reason for which a connection was closed, if it was the context.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// answers tells whether a message is the reply to a query (RFC 5452 section 4).
func answers(reply, query *dns.Msg) bool {
	if !reply.Response || reply.Id != query.Id || reply.Opcode != query.Opcode || len(reply.Question) != 1 {
		return false
	}
	got, want := reply.Question[0], query.Question[0]
	return got.Qtype == want.Qtype && got.Qclass == want.Qclass && dns.CanonicalName(got.Name) == dns.CanonicalName(want.Name)
}
