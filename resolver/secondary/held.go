package secondary

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pldns/zones"
	"pldns/zones/content"
)

// held is a zone of which there is, or is to be, a copy. Server.mu guards it.
type held struct {
	source Source
	gone   bool               // nobody wants it any more
	cancel context.CancelFunc // ends the attempt under way; nil while there is none

	zone      *content.Zone // nil while there is no copy
	expired   bool
	anew      bool      // see attempt
	confirmed time.Time // zero for never
	changed   time.Time
	primary   string // who confirmed it

	fault    string // of the last round; empty if it succeeded
	since    time.Time
	failures int               // in a row
	failed   string            // what the last attempt of this round says
	said     map[string]string // what the log was told last of each primary

	phase   phase
	begun   time.Time // the last round of attempts
	told    bool      // a NOTIFY came while a round was under way
	first   int       // the primary that the next round begins with
	left    []int     // the primaries that this round has still to ask
	next    time.Time // when the next round is due
	refresh *time.Timer
	expiry  *time.Timer

	saving   saving
	informed time.Time // when the log was last told of a transfer
}

// phase is what a zone waits for.
type phase int

const (
	idle     phase = iota // for its time
	waiting               // for its turn at a primary
	underWay              // for a primary
)

// copy is what is served of the zone.
func (h *held) copy() content.Copy {
	from := h.primary
	if from == "" {
		from = strings.Join(h.source.addrs(), " or ")
	}
	return content.Copy{Zone: h.zone, Expired: h.expired, From: from}
}

// state is what is told of the zone.
func (h *held) state() State {
	s := State{
		ID: h.source.ID, Zone: h.source.Zone, Loaded: h.zone != nil, Expired: h.expired, Refreshed: h.confirmed, Changed: h.changed,
		Primary: h.primary, Fault: h.fault, Since: h.since, Unsaved: h.saving.fault,
	}
	for _, p := range h.source.Primaries {
		s.Primaries = append(s.Primaries, p.String())
	}
	if h.phase == idle {
		s.Next = h.next
	}
	if h.zone != nil {
		s.Serial, s.Records, s.Expires = h.zone.Serial(), h.zone.Len(), h.expires()
	}
	return s
}

// expires is when the copy is not to be served any more.
func (h *held) expires() time.Time {
	_, _, expire := times(h.zone.SOA())
	return h.confirmed.Add(expire)
}

// order is in which order the primaries are asked: as they are written, but whoever said that
// the zone has changed first.
func (h *held) order() []int {
	if len(h.source.Primaries) == 0 {
		return nil
	}
	order := []int{h.first}
	for i := range h.source.Primaries {
		if i != h.first {
			order = append(order, i)
		}
	}
	h.first = 0
	return order
}

// notifier is the primary that sent a NOTIFY, by its address, or by the key with which it is
// signed, whose name is zero for none; -1 if it is none of them. To ask is all that follows, so
// whoever has a key need not sign: few servers sign a NOTIFY.
func (h *held) notifier(from netip.Addr, key zones.Name) int {
	return slices.IndexFunc(h.source.Primaries, func(p Primary) bool {
		return p.Addr.Addr().Unmap().WithZone("") == from.Unmap().WithZone("") || !key.IsZero() && p.Key != nil && p.Key.Name == key
	})
}
