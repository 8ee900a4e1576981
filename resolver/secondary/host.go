package secondary

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

const (
	// mostOfHost is how many zones are asked of one server at once: BIND asks two, and none
	// takes that ill. One server cannot take all places of the others so.
	mostOfHost = 2
	// mostAtOnce is how many zones are asked for at once, of all servers. Each may hold a whole
	// zone in memory that is not served yet.
	mostAtOnce = 12

	// A server to which there is no connection, or which did not answer for so many zones in a row,
	// is not tried for this long, for whatever zone; twice as long after each further failure. One
	// zone tries it then.
	mostUnanswered = 3
	silence        = 5 * time.Second
	mostSilence    = time.Minute
)

// host is a server that has zones, at one address. Keeper.mu guards it.
type host struct {
	addr    netip.AddrPort
	waiting []*held // for their turn
	busy    int     // attempts under way

	unanswered int           // attempts in a row
	err        error         // why it is not reached; nil if it is, as far as is known
	silent     time.Duration // for how long it is not tried
	until      time.Time
}

// isQuiet tells whether a server is not to be tried now.
func (h *host) isQuiet(now time.Time) bool { return h.err != nil && now.Before(h.until) }

// mayStart tells whether a zone that waits for the server may be asked for.
func (h *host) mayStart() bool {
	if h.err != nil {
		return h.busy == 0
	}
	return h.busy < mostOfHost
}

// host is the server at an address.
func (k *Keeper) host(addr netip.AddrPort) *host {
	h := k.hosts[addr]
	if h == nil {
		h = &host{addr: addr}
		k.hosts[addr] = h
	}
	return h
}

// queue has a zone wait for its next primary. Without one, the round has failed.
func (k *Keeper) queue(h *held) {
	now := time.Now()
	for len(h.left) > 0 {
		server := k.host(h.source.Primaries[h.left[0]].Addr)
		if !server.isQuiet(now) {
			h.phase = waiting
			if len(server.waiting) == 0 {
				k.turns = append(k.turns, server)
			}
			server.waiting = append(server.waiting, h)
			k.pump()
			return
		}
		h.failed = fmt.Sprintf("%s: %s", h.source.Primaries[h.left[0]], text(server.err))
		h.left = h.left[1:]
	}
	k.roundFailed(h)
}

// pump starts attempts while there is room, server by server in turn.
func (k *Keeper) pump() {
	for k.ctx != nil && k.active < mostAtOnce {
		i := slices.IndexFunc(k.turns, (*host).mayStart)
		if i < 0 {
			return
		}
		server := k.turns[i]
		h := server.waiting[0]
		server.waiting[0] = nil
		server.waiting = server.waiting[1:]
		k.turns = slices.Delete(k.turns, i, i+1)
		if len(server.waiting) > 0 {
			k.turns = append(k.turns, server)
		}
		switch {
		case h.gone:
		case len(h.left) == 0: // its primaries are others now
			h.phase = idle
			k.due(h, time.Now())
		default:
			k.start(h, server)
		}
	}
}

// heard notes what an attempt says of the server itself. Zones that wait for one that is not reached
// go to their next primary.
func (k *Keeper) heard(server *host, err error) {
	if err == nil || reasonOf(err) != Unreachable {
		if server.err != nil {
			k.log.Info("the primary can be reached again", "primary", server.addr)
		}
		server.err, server.silent, server.unanswered = nil, 0, 0
		return
	}
	if server.unanswered++; !isSilent(err) && server.err == nil && server.unanswered < mostUnanswered {
		return
	}
	if server.err == nil || server.err.Error() != err.Error() {
		k.log.Warn("the primary cannot be reached", "primary", server.addr, "error", text(err))
	}
	server.err = err
	server.silent = min(max(2*server.silent, silence), mostSilence)
	server.until = time.Now().Add(server.silent)
	stranded := server.waiting
	server.waiting = nil
	k.turns = slices.DeleteFunc(k.turns, func(other *host) bool { return other == server })
	for _, h := range stranded {
		if !h.gone {
			k.queue(h)
		}
	}
}

// forget drops servers that no zone has as a primary any more.
func (k *Keeper) forget() {
	used := make(map[netip.AddrPort]bool)
	for _, h := range k.held {
		for _, p := range h.source.Primaries {
			used[p.Addr] = true
		}
	}
	for addr, server := range k.hosts {
		if !used[addr] && server.busy == 0 && len(server.waiting) == 0 {
			delete(k.hosts, addr)
		}
	}
}
