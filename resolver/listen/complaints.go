package listen

import (
	"context"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// complaintPause is how far apart two lines about the same kind of refusal are:
// whoever sends bad packets must not be able to fill the disk.
const complaintPause = time.Minute

// complaints limits what is logged about refusals. It takes no lock, unlike a limiter of
// golang.org/x/time/rate: in a flood each worker passes here for every packet.
type complaints struct {
	since time.Time
	kinds [refusals]struct {
		next   atomic.Int64 // nanoseconds after since
		missed atomic.Int64 // complaints without a line since the last line
	}
}

// due tells whether a line about why may be written at now, and how many were
// not since the last one.
func (c *complaints) due(why Refusal, now time.Time) (missed int64, ok bool) {
	kind := &c.kinds[why]
	elapsed, next := int64(now.Sub(c.since)), kind.next.Load()
	if elapsed < next || !kind.next.CompareAndSwap(next, elapsed+int64(complaintPause)) {
		kind.missed.Add(1)
		return 0, false
	}
	return kind.missed.Swap(0), true
}

// refused counts a refusal, and logs it if a line is due.
func (s *Server) refused(transport string, why Refusal, client netip.AddrPort, details ...any) {
	s.complain(transport, why, client, details...)
	s.config.Observer.Refused(transport, why)
}

// complain logs a refusal, if a line is due.
func (s *Server) complain(transport string, why Refusal, client netip.AddrPort, details ...any) {
	missed, due := s.complaints.due(why, time.Now())
	if !due {
		return
	}
	level := slog.LevelInfo
	switch why {
	case Panicked, Unpackable:
		level = slog.LevelError
	case Shed, Crowded, Unsent, Limited, Slipped:
		level = slog.LevelWarn
	}
	about := append([]any{"why", why.String(), "transport", transport, "client", client, "unlogged", missed}, details...)
	s.config.Log.Log(context.Background(), level, "refused", about...)
}

// panicked logs a panic outside the Handler. The Observer may be its cause, so
// it is not told.
func (s *Server) panicked(transport string, fault any) {
	s.complain(transport, Panicked, netip.AddrPort{}, "panic", fault, "stack", string(debug.Stack()))
}

// trouble logs an error of a socket that should work, if a line is due.
func (s *Server) trouble(what string, addr netip.AddrPort, err error) {
	if missed, due := s.troubles.due(Unsent, time.Now()); due {
		s.config.Log.Error(what, "address", addr, "error", err, "unlogged", missed)
	}
}

// troubled is trouble, and waits a little so that a lasting error does not keep the
// processor busy.
func (s *Server) troubled(ctx context.Context, what string, addr netip.AddrPort, err error) {
	s.trouble(what, addr, err)
	select {
	case <-ctx.Done():
	case <-time.After(100 * time.Millisecond):
	}
}
