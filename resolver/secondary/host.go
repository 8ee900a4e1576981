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

// host is a server that has zones, at one address. Server.mu guards it.
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
func (s *Server) host(addr netip.AddrPort) *host {
	h := s.hosts[addr]
	if h == nil {
		h = &host{addr: addr}
		s.hosts[addr] = h
	}
	return h
}

// queue has a zone wait for its next primary. Without one, the round has failed.
func (s *Server) queue(h *held) {
	now := time.Now()
	for len(h.left) > 0 {
		remote := s.host(h.source.Primaries[h.left[0]].Addr)
		if !remote.isQuiet(now) {
			h.phase = waiting
			if len(remote.waiting) == 0 {
				s.turns = append(s.turns, remote)
			}
			remote.waiting = append(remote.waiting, h)
			s.pump()
			return
		}
		h.failed = fmt.Sprintf("%s: %s", h.source.Primaries[h.left[0]], text(remote.err))
		h.left = h.left[1:]
	}
	s.roundFailed(h)
}

// pump starts attempts while there is room, server by server in turn.
func (s *Server) pump() {
	for s.ctx != nil && s.active < mostAtOnce {
		i := slices.IndexFunc(s.turns, (*host).mayStart)
		if i < 0 {
			return
		}
		remote := s.turns[i]
		h := remote.waiting[0]
		remote.waiting[0] = nil
		remote.waiting = remote.waiting[1:]
		s.turns = slices.Delete(s.turns, i, i+1)
		if len(remote.waiting) > 0 {
			s.turns = append(s.turns, remote)
		}
		switch {
		case h.gone:
		case len(h.left) == 0: // its primaries are others now
			h.phase = idle
			s.due(h, time.Now())
		default:
			s.start(h, remote)
		}
	}
}

// heard notes what an attempt says of the server itself. Zones that wait for one that is not reached
// go to their next primary.
func (s *Server) heard(remote *host, err error) {
	if err == nil || reasonOf(err) != Unreachable {
		if remote.err != nil {
			s.log.Info("the primary can be reached again", "primary", remote.addr)
		}
		remote.err, remote.silent, remote.unanswered = nil, 0, 0
		return
	}
	if remote.unanswered++; !isSilent(err) && remote.err == nil && remote.unanswered < mostUnanswered {
		return
	}
	if remote.err == nil || remote.err.Error() != err.Error() {
		s.log.Warn("the primary cannot be reached", "primary", remote.addr, "error", text(err))
	}
	remote.err = err
	remote.silent = min(max(2*remote.silent, silence), mostSilence)
	remote.until = time.Now().Add(remote.silent)
	stranded := remote.waiting
	remote.waiting = nil
	s.turns = slices.DeleteFunc(s.turns, func(other *host) bool { return other == remote })
	for _, h := range stranded {
		if !h.gone {
			s.queue(h)
		}
	}
}

// forget drops servers that no zone has as a primary any more.
func (s *Server) forget() {
	used := make(map[netip.AddrPort]bool)
	for _, h := range s.held {
		for _, p := range h.source.Primaries {
			used[p.Addr] = true
		}
	}
	for addr, remote := range s.hosts {
		if !used[addr] && remote.busy == 0 && len(remote.waiting) == 0 {
			delete(s.hosts, addr)
		}
	}
}
