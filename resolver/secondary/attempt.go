package secondary

import (
	"context"
	"errors"
	"time"

	"github.com/miekg/dns"

	"pldns/zones/content"
)

// attempt asks one primary for one zone.
type attempt struct {
	source  Source
	primary Primary
	have    *content.Zone // nil if there is no copy
	// anew takes the zone whatever its serial is: the primaries are others than those that the
	// copy is from, so that their serials cannot be compared.
	anew bool
}

// outcome is what came of an attempt.
type outcome struct {
	zone    *content.Zone // nil if the copy is what the primary has
	kind    Kind
	octets  int64
	took    time.Duration
	outside int // records of other zones, which were left out
}

// run asks for the SOA record if there is a copy, and takes the zone if it is newer.
func (a *attempt) run(ctx context.Context, by *Server) (outcome, error) {
	begun := time.Now()
	s, err := a.open(ctx, by)
	if err != nil {
		return outcome{}, err
	}
	defer func() { s.close() }()
	stop := context.AfterFunc(ctx, s.close)
	defer func() { stop() }()
	if a.have != nil && !a.anew {
		newer, err := a.check(s)
		if err != nil || !newer {
			return outcome{}, err
		}
		o, err := a.take(s, a.have)
		if err == nil || !isWholeWorthTrying(err) {
			o.took = time.Since(begun)
			return o, err
		}
		by.log.Info("the whole zone is transferred, because what has changed could not be",
			"zone", a.source.Zone, "primary", a.primary.String(), "reason", text(err))
		// What is left of the answer is on this connection.
		s.close()
		stop()
		if s, err = a.open(ctx, by); err != nil {
			return outcome{}, err
		}
		stop = context.AfterFunc(ctx, s.close)
	}
	o, err := a.take(s, nil)
	o.took = time.Since(begun)
	return o, err
}

func (a *attempt) open(ctx context.Context, by *Server) (*session, error) {
	return open(ctx, a.primary, by.options.Dial)
}

// isWholeWorthTrying tells whether a primary that cannot say what has changed may give the whole
// zone: old servers do not know IXFR and say so in many ways, or close the connection.
func isWholeWorthTrying(err error) bool {
	switch reasonOf(err) {
	case Malformed, Refused, BrokenOff:
		return true
	case Unreachable:
		return !isTimeout(err)
	}
	return errors.Is(err, errWhole)
}

// check tells whether the primary has a newer version than the copy.
func (a *attempt) check(s *session) (newer bool, err error) {
	m := new(dns.Msg).SetQuestion(a.source.Zone.FQDN(), dns.TypeSOA)
	m.RecursionDesired = false
	answer, err := s.ask(m, octetsOfAny)
	if err != nil {
		return false, err
	}
	if err := answer.advance(); err != nil {
		return false, err
	}
	if answer.left == 0 {
		return false, fail(Refused, "it has no SOA record for the zone")
	}
	t := &transfer{stream: answer, apex: a.source.Zone}
	soa, err := t.nextSOA()
	if err != nil {
		return false, err
	}
	return a.isNewer(soa.Serial)
}

// isNewer tells whether a version is newer than the copy. An older one is a failure: what is held
// goes on being served, and somebody should know.
func (a *attempt) isNewer(serial uint32) (bool, error) {
	switch held := a.have.Serial(); {
	case serial == held:
		return false, nil
	case content.IsNewer(serial, held):
		return true, nil
	default:
		return false, fail(Backwards, "its serial %d is older than %d, that of the copy: raise it there", serial, held)
	}
}

// take takes what has changed since a version, or the whole zone without one.
func (a *attempt) take(s *session, since *content.Zone) (outcome, error) {
	m := new(dns.Msg)
	if since == nil {
		m.SetAxfr(a.source.Zone.FQDN())
	} else {
		soa := since.SOA()
		m.SetIxfr(a.source.Zone.FQDN(), soa.Serial, soa.Ns, soa.Mbox)
	}
	before, most := s.octets, a.source.maxRecords()
	answer, err := s.ask(m, octetsOfAny+octetsOfRecord*int64(most))
	if err != nil {
		return outcome{}, err
	}
	t := &transfer{stream: answer, apex: a.source.Zone, have: since, most: most}
	zone, kind, err := t.read()
	if err != nil {
		return outcome{}, err
	}
	o := outcome{zone: zone, kind: kind, octets: s.octets - before, outside: t.outside}
	if a.have == nil || a.anew {
		return o, nil
	}
	// The version may be another one than that which was told before.
	serial := t.soa.Serial
	newer, err := a.isNewer(serial)
	if !newer {
		o.zone = nil
	}
	return o, err
}
