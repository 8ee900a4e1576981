package cache

import (
	"slices"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/wire"
	"pldns/zones"
)

// moment is a time as the span since the Cache was made: small, monotonic, and
// never zero, so that zero can say "never".
type moment = time.Duration

// entry is one thing that an upstream said, or failed to say. All but the last
// group of fields never changes, and may be read without a lock by whoever found
// it; the last group belongs to the shard that holds the entry.
type entry struct {
	octets  []byte // of the message in wire form, with the TTLs of the moment asOf
	group   string
	server  string
	also    *also // nil of nearly all
	asOf    moment
	expires moment
	qtype   uint16
	rcode   uint16
	traits  traits

	wanted bool // it was asked for again since it first came in
	size   int32
	hits   uint32 // in this life
	failed moment // when a refresh last failed
	tried  moment // when a refresh in the background was last called for
}

// also is what is said about failures.
type also struct {
	errors []resolver.Error
	err    error // of a failure that has no reply
}

// traits are what is true or false of an entry.
type traits uint8

const (
	dnssec        traits = 1 << iota // the question had DO
	unchecked                        // the question had CD
	authenticated                    // the upstream set AD
	failure                          // there is no answer here, only the memory of having asked
	aliased                          // the answer leads over a CNAME or DNAME
)

func (t traits) has(one traits) bool { return t&one != 0 }

// newEntry makes an entry of an answer in wire form that lasts for so long from now.
func newEntry(k *key, reply *resolver.Reply, now moment, lifetime time.Duration) *entry {
	e := &entry{
		octets: reply.Wire.Octets(), group: k.group, server: reply.Server, asOf: now, expires: now + lifetime,
		qtype: k.question.Type, rcode: uint16(reply.Rcode), traits: k.traits,
	}
	if reply.Authenticated {
		e.traits |= authenticated
	}
	if len(reply.Errors) > 0 {
		e.also = &also{errors: reply.Errors}
	}
	e.size = e.sizeOf()
	return e
}

// newFailure makes an entry of a failure, which is a reply, or an error. Who is
// told of it later is told that it is remembered (RFC 8914 section 4.14). The chain that
// a failure comes with is kept, because the failure is about its end (RFC 6604).
func newFailure(k *key, reply resolver.Reply, err error, now moment, lifetime time.Duration) *entry {
	if err == nil && reply.Rcode == dns.RcodeServerFailure {
		reply.Errors = slices.Concat(reply.Errors,
			[]resolver.Error{{Code: dns.ExtendedErrorCodeCachedError, Text: failureText}})
	}
	reply.Wire = reply.Wire.WithoutAuthority()
	e := newEntry(k, &reply, now, lifetime)
	e.traits |= failure
	if err != nil {
		e.also = &also{errors: reply.Errors, err: remembered{err}}
		e.size = e.sizeOf()
	}
	return e
}

// remembered is an error that was met a moment ago.
type remembered struct{ error }

func (r remembered) Error() string { return "remembered: " + r.error.Error() }
func (r remembered) Unwrap() error { return r.error }

// denies tells whether e says that there is nothing at all at its name, so that it
// answers every type (RFC 2308 section 5, RFC 8020 section 2). An alias that ends
// at a name that does not exist is not denied itself. Neither does DS deny: it is
// asked on the other side of a zone cut (RFC 4035 section 3.1.4.1), which may be
// another server's behind the one that was asked, and not know a private zone.
func (e *entry) denies() bool {
	return e.rcode == dns.RcodeNameError && e.qtype != dns.TypeDS && !e.traits.has(aliased|failure)
}

// name is the name that was asked for.
func (e *entry) name() zones.Name {
	name, _ := wire.Name(e.octets, wire.HeaderSize)
	return name
}

// question is what was asked.
func (e *entry) question() resolver.Question {
	return resolver.Question{
		Name: e.name(), Type: e.qtype,
		DNSSEC: e.traits.has(dnssec), CheckingDisabled: e.traits.has(unchecked),
	}
}

// usable tells whether e holds an answer that may still be told, fresh or stale.
func (e *entry) usable(now moment, rules ageing) bool {
	return !e.traits.has(failure) && now < e.expires+rules.stale
}

// ending tells whether e is wanted enough, and old enough, to be prefetched.
func (e *entry) ending(now moment) bool {
	return !e.traits.has(failure) && e.hits >= prefetchHits && e.expires-now <= (e.expires-e.asOf)/prefetchPart
}

// call tells whether it is time for a refresh in the background, and if so takes
// it as done, so that only one of many callers is told.
func (e *entry) call(now moment, rules ageing) bool {
	if last := max(e.failed, e.tried); last != 0 && now < last+rules.quiet {
		return false
	}
	e.tried = now
	return true
}

// What an entry costs in octets besides its message and what is allocated with it.
// The numbers are those of the Go runtime on 64-bit systems; tests hold the sum
// against what the runtime says.
const (
	entryBytes   = 112 // the entry itself
	elementBytes = 80  // its element in the list of the LRU
	slotBytes    = 44  // its slot in the map of the LRU, which is half to nearly full
	alsoBytes    = 48  // what is said about failures
	errorBytes   = 32  // of an extended error: its place in the slice, and rounding up
	causeBytes   = 192 // of an error: what it wraps, besides its text
)

// sizeOf is the memory that is held because e is.
func (e *entry) sizeOf() int32 {
	size := entryBytes + elementBytes + slotBytes + cap(e.octets)
	if e.also != nil {
		size += alsoBytes
		for _, said := range e.also.errors {
			if size += errorBytes; said.Text != failureText {
				size += len(said.Text)
			}
		}
		if e.also.err != nil {
			size += causeBytes + len(e.also.err.Error())
		}
	}
	return int32(size)
}

// reply is what e says at a moment, with the TTLs that are left of it; stale is the
// form in which it is told after it has expired.
func (e *entry) reply(now moment, stale bool) (reply resolver.Reply, err error) {
	passed := uint32(max(0, now-e.asOf) / time.Second) // since the TTLs were true
	reply = resolver.Reply{
		Rcode: int(e.rcode), Wire: wire.NewMessage(e.octets).Aged(passed), Authenticated: e.traits.has(authenticated),
		Source: resolver.FromCache, Group: e.group, Server: e.server,
	}
	if e.also != nil {
		reply.Errors, err = slices.Clip(e.also.errors), e.also.err
	}
	if stale {
		reply.Wire = reply.Wire.Expired(passed, staleTTL)
		outdate(&reply)
	}
	return reply, err
}

// outdate says of a reply that it is stale: with the extended error of RFC 8914
// sections 4.3 and 4.19, and not vouched for.
func outdate(reply *resolver.Reply) {
	reply.Source, reply.Authenticated = resolver.FromStale, false
	code := dns.ExtendedErrorCodeStaleAnswer
	if reply.Rcode == dns.RcodeNameError {
		code = dns.ExtendedErrorCodeStaleNXDOMAINAnswer
	}
	reply.Errors = slices.Concat(reply.Errors, []resolver.Error{{Code: code, Text: staleText}})
}
