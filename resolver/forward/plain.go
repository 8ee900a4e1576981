package forward

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
)

// Most replies are a few records of a usual type, or the SOA record of a zone that has none,
// behind the aliases that lead there, and nothing has to be dropped but the OPT record. They
// stay in wire form, and only their header, letter case and TTLs are changed; what comes
// out says what the library and scrub would have made of them (FuzzPlain).

// maxPlain is how many records of one name and type a plain reply has at most.
const maxPlain = 16

// readPlain reads a reply whose header and question match, with the name of the question
// in lower case. What it gives is in wire form, in memory of its own, and keeps the response
// code and the AD bit in its header; it is empty for a reply that is not plain.
func (q *query) readPlain(packet []byte) (r reading, found edns) {
	flags := wire.Flags(packet)
	rcode := int(flags & wire.Rcodes)
	if flags&wire.TC != 0 || rcode != dns.RcodeSuccess && rcode != dns.RcodeNameError {
		return reading{}, edns{}
	}
	opt, known := wire.Check(packet)
	if !known || opt.TTL>>16 != 0 { // the upper bits of the response code, or a version
		return reading{}, edns{}
	}
	answers, authority := wire.Count(packet, wire.Answer), wire.Count(packet, wire.Authority)
	w := plainWalk{
		reader: wire.Reader{Message: packet, At: int(q.question)}, at: wire.HeaderSize,
		qtype: binary.BigEndian.Uint16(packet[q.question-4:]),
	}
	switch {
	case !w.answer(answers):
		return reading{}, edns{}
	case w.ended && (rcode == dns.RcodeNameError || q.dnssec && authority > 0):
		return reading{}, edns{}
	case w.ended:
		authority = 0
	case authority > 0 && (authority > 1 || q.dnssec || !w.soa()):
		return reading{}, edns{}
	}
	r = reading{plain: append([]byte(nil), packet[:w.reader.At]...), private: w.private}
	wire.PutHeader(r.plain, 0, wire.QR|flags&(wire.AD|wire.Rcodes), answers, authority, 0)
	return r, ednsOf(wire.OptionsOf(packet, opt), opt.Type == dns.TypeOPT)
}

// plainWalk goes through the records of a plain reply, which have been checked, and puts
// their names and TTLs in order.
type plainWalk struct {
	reader  wire.Reader
	qtype   uint16
	at      int           // where a name stands that the chain has come to
	ended   bool          // the records asked for were found
	private bool          // one of them has an address that is not public
	links   [maxPlain]int // where the names stand that the chain has come over
}

// answer goes through the answer section. It is plain if it is a chain in order, each
// owner of which is a pointer to a name that stands there, so that the letter case of the
// question is that of all of them.
func (w *plainWalk) answer(count int) bool {
	hops, first := 0, wire.Record{}
	message := w.reader.Message
	for i := range count {
		rec, _ := w.reader.Record()
		owner := wire.First(message, rec.Owner)
		if rec.Class != dns.ClassINET || owner == rec.Owner || owner != wire.First(message, w.at) {
			return false
		}
		switch {
		case rec.Type == w.qtype && isPlain(w.qtype):
			if !w.ended {
				w.ended, first = true, rec
			}
			if i-hops >= maxPlain || !w.data(rec) || w.repeats(first, rec) {
				return false
			}
		case rec.Type == dns.TypeCNAME && w.qtype != dns.TypeCNAME && w.qtype != dns.TypeANY && !w.ended && hops < maxPlain:
			w.links[hops] = w.at
			hops++
			w.level(rec.Owner, rec.End)
			wire.LowerName(message, rec.Data)
			w.at = rec.Data
			for _, link := range w.links[:hops] {
				if wire.SameName(message, link, w.at) {
					return false
				}
			}
		default:
			return false
		}
	}
	if w.ended {
		w.level(first.Owner, w.reader.At)
	}
	return true
}

// data puts the data of a record that was asked for in order; false if it has to be written anew.
func (w *plainWalk) data(rec wire.Record) bool {
	message := w.reader.Message
	switch rec.Type {
	case dns.TypeA, dns.TypeAAAA:
		addr, _ := netip.AddrFromSlice(message[rec.Data:rec.End])
		w.private = w.private || isPrivate(addr.Unmap())
		return true
	}
	name, ok := nameIn(rec)
	if ok {
		wire.LowerName(message, name)
	}
	if rec.Type == dns.TypeSRV { // whose target clients may read by rules that are older than its type (RFC 2782)
		target := wire.Reader{Message: message, At: name}
		compressed, _ := target.Name()
		return !compressed
	}
	return true
}

// isPlain tells whether the records of a type may be plain.
func isPlain(qtype uint16) bool {
	switch qtype {
	case dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypePTR, dns.TypeMX, dns.TypeSRV:
		return true
	}
	return false
}

// nameIn is where the name stands with which the data of a record ends; false if it has none.
func nameIn(rec wire.Record) (at int, ok bool) {
	switch rec.Type {
	case dns.TypePTR:
		return rec.Data, true
	case dns.TypeMX:
		return rec.Data + 2, true
	case dns.TypeSRV:
		return rec.Data + 6, true
	}
	return rec.End, false
}

// repeats tells whether a record of a set, which begins with first, says what one before
// it says.
func (w *plainWalk) repeats(first, rec wire.Record) bool {
	message := w.reader.Message
	name, named := nameIn(rec)
	set := wire.Reader{Message: message, At: first.Owner}
	for set.At < rec.Owner {
		other, _ := set.Record()
		at, _ := nameIn(other)
		if bytes.Equal(message[other.Data:at], message[rec.Data:name]) && (!named || wire.SameName(message, at, name)) {
			return true
		}
	}
	return false
}

// soa goes over the SOA record of a denial, if it is that of a zone around the denied name.
func (w *plainWalk) soa() bool {
	message := w.reader.Message
	rec, _ := w.reader.Record()
	if rec.Type != dns.TypeSOA || rec.Class != dns.ClassINET || !wire.Within(message, w.at, rec.Owner) {
		return false
	}
	wire.LowerName(message, rec.Owner)
	names := wire.Reader{Message: message, At: rec.Data}
	wire.LowerName(message, names.At)
	_, _ = names.Name()
	wire.LowerName(message, names.At)
	w.level(rec.Owner, rec.End)
	return true
}

// level gives the records of a set, which stand from one offset to another, the lowest of
// their TTLs, as [tidy] does.
func (w *plainWalk) level(from, to int) {
	set := wire.Reader{Message: w.reader.Message, At: from}
	lowest, highest := uint32(maxTTL), uint32(0)
	for set.At < to {
		rec, _ := set.Record()
		highest = max(highest, rec.TTL)
		if rec.TTL > maxTTL {
			rec.TTL = 0
		}
		lowest = min(lowest, rec.TTL)
	}
	if lowest == highest {
		return
	}
	for set.At = from; set.At < to; {
		rec, _ := set.Record()
		binary.BigEndian.PutUint32(set.Message[rec.TTLAt():], lowest)
	}
}
