package secondary

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// A round asks the primaries of a zone, one after the other until one has it. Server.mu is held by
// whoever calls the functions of this file, but for those that a timer or a goroutine is told of.

// arm begins to keep the times of a zone: it is asked for at once, because nobody knows what happened
// since it was last looked at.
func (s *Server) arm(h *held) {
	s.watch(h)
	s.due(h, time.Now())
}

// disarm ends that.
func (h *held) disarm() {
	for _, timer := range []*time.Timer{h.refresh, h.expiry} {
		if timer != nil {
			timer.Stop()
		}
	}
	h.refresh, h.expiry = nil, nil
}

// drop ends all that is done for a zone.
func (h *held) drop() {
	h.gone = true
	h.disarm()
	if h.cancel != nil {
		h.cancel()
	}
}

// restart begins a new round as soon as it can, because the primaries are others.
func (h *held) restart() {
	h.first, h.left = 0, nil
	if h.phase == idle {
		h.disarm()
	} else {
		h.told = true
	}
	if h.cancel != nil {
		h.cancel()
	}
}

// due begins a round at a time.
func (s *Server) due(h *held, at time.Time) {
	h.next = at
	if h.refresh != nil {
		h.refresh.Stop()
	}
	h.refresh = time.AfterFunc(time.Until(at), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if h.gone || s.ctx == nil || h.phase != idle || time.Now().Before(h.next) {
			return
		}
		h.begun, h.told, h.failed, h.left = time.Now(), false, "", h.order()
		s.queue(h)
	})
}

// watch keeps the time at which a copy expires.
func (s *Server) watch(h *held) {
	if h.zone == nil || h.expired {
		return
	}
	if h.expiry != nil {
		h.expiry.Stop()
	}
	h.expiry = time.AfterFunc(time.Until(h.expires()), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if h.gone || s.ctx == nil || h.expired || time.Now().Before(h.expires()) {
			return
		}
		h.expired = true
		s.log.Error("the copy of the zone has expired: no primary has confirmed it in time, and it is not served any more",
			"zone", h.source.Zone, "serial", h.zone.Serial(), "confirmed", h.confirmed, "error", h.fault)
		s.change(h)
	})
}

// start asks the next primary of a zone.
func (s *Server) start(h *held, remote *host) {
	ctx, cancel := context.WithCancel(s.ctx)
	primary := h.source.Primaries[h.left[0]]
	a := &attempt{source: h.source, primary: primary, have: h.zone, anew: h.anew}
	h.phase, h.cancel = underWay, cancel
	remote.busy++
	s.active++
	s.attempts.Go(func() {
		defer cancel()
		o, err := s.try(ctx, a)
		s.mu.Lock()
		defer s.mu.Unlock()
		remote.busy--
		s.active--
		h.cancel = nil
		if ctx.Err() == nil {
			s.heard(remote, err)
		}
		s.ended(h, remote, a, o, err)
		s.pump()
	})
}

// errOwnFault is what an attempt ends with that met a fault of this program.
var errOwnFault = errors.New("this program met a fault of its own, which its log has")

// try is attempt.run. What a foreign server sends must not be able to end the process.
func (s *Server) try(ctx context.Context, a *attempt) (o outcome, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			s.observer.Panicked("secondary")
			s.log.Error("panic in a zone transfer", "zone", a.source.Zone, "primary", a.primary.String(),
				"panic", fault, "stack", string(debug.Stack()))
			err = errOwnFault
		}
	}()
	if o, err = a.run(ctx, s); err == nil && o.zone != nil && a.source.Check != nil {
		if unfit := a.source.Check(o.zone); unfit != nil {
			return outcome{}, fail(Malformed, "its version %d is not taken: %w", o.zone.Serial(), unfit)
		}
	}
	return o, err
}

// ended takes what came of an attempt.
func (s *Server) ended(h *held, remote *host, a *attempt, o outcome, err error) {
	switch {
	case h.gone || s.ctx == nil:
		return
	case !a.source.same(h.source): // it was asked of others
		h.phase = idle
		s.due(h, time.Now())
	case err != nil:
		s.observer.Failed(reasonOf(err))
		fault := text(err)
		h.failed = fmt.Sprintf("%s: %s", a.primary, fault)
		if remote.err == nil && h.said[a.primary.String()] != fault {
			h.say(a.primary, fault)
			s.log.Warn("the zone cannot be copied from this primary", "zone", h.source.Zone, "primary", a.primary.String(), "error", fault)
		}
		if len(h.left) > 0 {
			h.left = h.left[1:]
		}
		s.queue(h)
	default:
		s.succeeded(h, a, o)
	}
}

// say notes what the log was told of a primary.
func (h *held) say(p Primary, fault string) {
	if h.said == nil {
		h.said = make(map[string]string)
	}
	h.said[p.String()] = fault
}

// roundFailed ends a round in which no primary confirmed the zone or gave another one.
func (s *Server) roundFailed(h *held) {
	now := time.Now()
	h.phase = idle
	h.failures++
	h.fault = h.failed
	if h.since.IsZero() {
		h.since = now
	}
	pause := again(h.failures)
	if h.zone != nil {
		_, pause, _ = times(h.zone.SOA())
	}
	s.idle(h, now.Add(soon(pause)))
}

// idle has a zone wait for its next round, or for the one that a NOTIFY asks for.
func (s *Server) idle(h *held, next time.Time) {
	h.phase, h.left = idle, nil
	if h.told {
		next = later(time.Now(), h.begun.Add(pace))
	}
	s.due(h, next)
}

// succeeded takes what a primary confirmed or gave.
func (s *Server) succeeded(h *held, a *attempt, o outcome) {
	now := time.Now()
	recovered := h.fault != "" || h.expired
	served := o.zone != nil || h.expired
	h.confirmed, h.expired, h.primary = now, false, a.primary.String()
	h.fault, h.since, h.failures = "", time.Time{}, 0
	delete(h.said, a.primary.String())
	if o.zone != nil {
		h.zone, h.anew, h.changed = o.zone, false, now
		s.observer.Transferred(o.kind, o.octets, o.took)
	} else {
		s.observer.Confirmed()
	}
	s.inform(h, a, o, recovered)
	s.toSave(h)
	if served {
		s.change(h)
	}
	s.watch(h)
	refresh, _, _ := times(h.zone.SOA())
	s.idle(h, now.Add(soon(refresh)))
}

// informPace is the least time between two lines of the log about transfers of one zone.
const informPace = time.Minute

// inform tells the log of a success: of a zone that changes all the time, once a minute.
func (s *Server) inform(h *held, a *attempt, o outcome, recovered bool) {
	about := []any{"zone", h.source.Zone, "primary", a.primary.String(), "serial", h.zone.Serial()}
	if o.zone == nil {
		if recovered {
			s.log.Info("the copy of the zone is confirmed again", about...)
		}
		return
	}
	about = append(about, "records", h.zone.Len(), "by", o.kind, "octets", o.octets, "took", o.took.Round(time.Millisecond))
	if o.outside > 0 {
		about = append(about, "records_of_other_zones_left_out", o.outside)
	}
	if now := time.Now(); recovered || now.Sub(h.informed) >= informPace {
		h.informed = now
		s.log.Info("the zone is transferred", about...)
	} else {
		s.log.Debug("the zone is transferred", about...)
	}
}
