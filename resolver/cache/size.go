package cache

import (
	"reflect"

	"github.com/miekg/dns"
)

// What an entry costs in bytes. The numbers are those of the Go runtime on
// 64-bit systems, with the rounding of small allocations; a test holds the sum
// against what the runtime says.
const (
	entryBytes   = 240 // the entry itself
	elementBytes = 112 // its element in the list of the LRU, which holds the key
	slotBytes    = 80  // its slot in the map of the LRU, which is not always full
	recordBytes  = 40  // of a record: its place in the slice, and rounding up
	partBytes    = 40  // of a text or parameter in a record, likewise
	errorBytes   = 40  // of an extended error, likewise
)

// sizeOf estimates the memory that is held because e is held under k.
func sizeOf(k key, e *entry) int64 {
	size := entryBytes + elementBytes + slotBytes + len(k.question.Name.FQDN())
	size += recordsSize(e.reply.Answer) + recordsSize(e.reply.Authority)
	for _, said := range e.reply.Errors {
		size += errorBytes + len(said.Text)
	}
	return int64(size)
}

// recordsSize is the size of one section. The names and data that a record
// points to are about as long in memory as on the wire.
func recordsSize(records []dns.RR) int {
	size := 0
	for _, rr := range records {
		size += recordBytes + int(reflect.TypeOf(rr).Elem().Size()) + dns.Len(rr) + partBytes*parts(rr)
	}
	return size
}

// parts is the number of things in a record that are allocated one by one.
func parts(rr dns.RR) int {
	switch rr := rr.(type) {
	case *dns.TXT:
		return len(rr.Txt)
	case *dns.HTTPS:
		return len(rr.Value)
	case *dns.SVCB:
		return len(rr.Value)
	default:
		return 0
	}
}
