package upstream

import (
	"context"
	"errors"

	"github.com/miekg/dns"
)

// ticket is a query on a socket of the stock that waits for its reply.
type ticket struct {
	query
	cookie [cookieRoom]byte // holds that of the query
	to     hearer
	socket *socket
	slips  int // packets that came to the socket meanwhile and were nobody's reply
}

// hearer is told what came of a ticket, once, unless the ticket is withdrawn
// before. It must not wait for anything.
type hearer interface {
	heard(reading)
}

// mailbox is a hearer with room for what it hears.
type mailbox chan reading

func (m mailbox) heard(r reading) { m <- r }

// errNoStock says that a question needs a socket of its own.
var errNoStock = errors.New("no socket of the stock can be had")

// await waits for what comes of a ticket, as long as ctx lasts.
func (s *server) await(ctx context.Context, t *ticket, box mailbox) (*dns.Msg, error) {
	var got reading
	select {
	case got = <-box:
	case <-ctx.Done():
		if s.stock.withdraw(t) {
			return nil, s.failure(ctx, ctx.Err())
		}
		got = <-box // it is on its way
	}
	return got.msg, got.err
}
