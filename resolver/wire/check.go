package wire

import (
	"encoding/binary"

	"github.com/miekg/dns"
)

const typeOPT = dns.TypeOPT

// maxChecked is the longest message in octets that [Check] looks at: nearly all of what
// comes over UDP.
const maxChecked = 2048

// Check tells whether a message is well formed, and of the kind that it knows: its length
// and its counts agree; names are in their bounds, and pointers lead to a label of an
// earlier name; the data of each record is that of its type, which is one of the usual
// ones; at most one OPT record, at the root and last, with usual options. It gives that
// record, whose type is not OPT if there is none.
//
// A message that is not of this kind may be well formed nevertheless: the DNS library
// knows. What Check accepts, the library reads, too.
func Check(message []byte) (opt Record, ok bool) {
	if len(message) < HeaderSize || len(message) > maxChecked || Count(message, Question) != 1 {
		return Record{}, false
	}
	c := checker{Reader: Reader{Message: message, At: HeaderSize}}
	if _, ok := c.name(c.At); !ok {
		return Record{}, false
	}
	if _, ok := c.Question(); !ok {
		return Record{}, false
	}
	for left := Records(message); left > 0; left-- {
		rec, ok := c.Record()
		if !ok {
			return Record{}, false
		}
		if rec.Type == typeOPT {
			if left > 1 || !c.opt(rec) {
				return Record{}, false
			}
			opt = rec
			continue
		}
		if _, ok := c.name(rec.Owner); !ok || !c.data(rec) {
			return Record{}, false
		}
	}
	return opt, c.At == len(message) && (opt.Type != typeOPT || Count(message, Additional) > 0)
}

// checker knows where the labels are that pointers may lead to.
type checker struct {
	Reader
	labels [maxChecked / 64]uint64
}

// name checks the name at an offset, and gives where it ends.
func (c *checker) name(at int) (end int, ok bool) {
	length, pointers := 0, 0
	for at < len(c.Message) {
		octet := int(c.Message[at])
		switch octet & pointerBits {
		case 0:
			if length += 1 + octet; length > MaxName {
				return at, false
			}
			if pointers == 0 {
				c.labels[at/64] |= 1 << (at % 64)
			}
			at += 1 + octet
			if octet == 0 {
				if pointers == 0 {
					end = at
				}
				return end, at <= len(c.Message)
			}
		case pointerBits:
			if len(c.Message)-at < 2 {
				return at, false
			}
			target := pointerAt(c.Message, at)
			if target >= at || c.labels[target/64]>>(target%64)&1 == 0 {
				return at, false
			}
			if pointers++; pointers == 1 {
				c.labels[at/64] |= 1 << (at % 64)
				end = at + 2
			}
			if pointers > maxPointers {
				return at, false
			}
			at = target
		default:
			return at, false
		}
	}
	return at, false
}

// data checks the data of a record of a type that is known here.
func (c *checker) data(rec Record) bool {
	size := rec.End - rec.Data
	switch rec.Type {
	case dns.TypeA:
		return size == 4
	case dns.TypeAAAA:
		return size == 16
	case dns.TypeCNAME, dns.TypeNS, dns.TypePTR:
		return c.ends(rec.Data, rec.End)
	case dns.TypeMX:
		return size > 2 && c.ends(rec.Data+2, rec.End)
	case dns.TypeSRV:
		return size > 6 && c.ends(rec.Data+6, rec.End)
	case dns.TypeSOA:
		const numbers = 20
		next, ok := c.name(rec.Data)
		return ok && next < rec.End && c.ends(next, rec.End-numbers)
	case dns.TypeTXT:
		return texts(c.Message[rec.Data:rec.End])
	}
	return false
}

// ends tells whether there is a name from at to end.
func (c *checker) ends(at, end int) bool {
	got, ok := c.name(at)
	return ok && got == end
}

// texts tells whether data is one or more character strings (RFC 1035 section 3.3).
func texts(data []byte) bool {
	if len(data) == 0 {
		return false
	}
	for len(data) > 0 {
		size := 1 + int(data[0])
		if size > len(data) {
			return false
		}
		data = data[size:]
	}
	return true
}

// opt checks an OPT record.
func (c *checker) opt(rec Record) bool {
	if c.Message[rec.Owner] != 0 {
		return false
	}
	options := OptionsOf(c.Message, rec)
	for option, more := options.Next(); more; option, more = options.Next() {
		switch option.Code {
		case dns.EDNS0COOKIE, dns.EDNS0PADDING, dns.EDNS0NSID:
		case dns.EDNS0EDE:
			if len(option.Data) < 2 {
				return false
			}
		default:
			return false
		}
	}
	return !options.Broken()
}

// MinTTL is the last number of the data of an SOA record (RFC 2308 section 4).
func (r Record) MinTTL(message []byte) uint32 { return binary.BigEndian.Uint32(message[r.End-4:]) }
