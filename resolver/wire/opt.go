package wire

import "encoding/binary"

// OptionHead is the length of an EDNS option before its data (RFC 6891 section 6.1.2).
const OptionHead = 4

// optSize is the length of an OPT record without options.
const optSize = 11

// Option is an EDNS option.
type Option struct {
	Code uint16
	Data []byte // a part of the message
}

// Options goes through the options of an OPT record.
type Options struct {
	rest   []byte
	broken bool
}

// OptionsOf gives the options of an OPT record of a message; none of any other.
func OptionsOf(message []byte, opt Record) Options {
	if opt.Type != typeOPT {
		return Options{}
	}
	return ReadOptions(message[opt.Data:opt.End])
}

// ReadOptions goes through the data of an OPT record.
func ReadOptions(data []byte) Options { return Options{rest: data} }

// Next gives the next option, until there is none, or none that can be read.
func (o *Options) Next() (Option, bool) {
	if len(o.rest) == 0 {
		return Option{}, false
	}
	if len(o.rest) < OptionHead {
		o.rest, o.broken = nil, true
		return Option{}, false
	}
	size := OptionHead + int(binary.BigEndian.Uint16(o.rest[2:]))
	if len(o.rest) < size {
		o.rest, o.broken = nil, true
		return Option{}, false
	}
	option := Option{Code: binary.BigEndian.Uint16(o.rest), Data: o.rest[OptionHead:size]}
	o.rest = o.rest[size:]
	return option, true
}

// Broken tells, after the last option, whether they end where no option ends.
func (o *Options) Broken() bool { return o.broken }

// AppendOPT appends an OPT record of version 0 without options (RFC 6891 section 6.1.2):
// the largest UDP message that its sender takes, the upper bits of the response code, and
// the DO bit (RFC 3225). It is to be the last record of its message, and counted there.
func AppendOPT(message []byte, size uint16, rcode int, dnssec bool) []byte {
	message = append(message, 0) // the root
	message = binary.BigEndian.AppendUint16(message, typeOPT)
	message = binary.BigEndian.AppendUint16(message, size)
	var flags uint16
	if dnssec {
		flags = DO
	}
	message = append(message, byte(rcode>>4), 0)
	message = binary.BigEndian.AppendUint16(message, flags)
	return append(message, 0, 0)
}

// LastOPT gives where the OPT record of a message begins, if that is its last record.
func LastOPT(message []byte) (opt int, found bool) {
	r, ok := ReadRecords(message)
	if !ok {
		return 0, false
	}
	var last Record
	for range Records(message) {
		if last, ok = r.Record(); !ok {
			return 0, false
		}
	}
	return last.Owner, last.Type == typeOPT && last.End == len(message)
}

// AppendOption appends an option to a message that ends in the OPT record which begins
// at opt.
func AppendOption(message []byte, opt int, code uint16, data []byte) []byte {
	message, room := GrowOption(message, opt, code, len(data))
	copy(room, data)
	return message
}

// GrowOption is AppendOption for data that is written afterwards, into room, which holds
// zeros until then.
func GrowOption(message []byte, opt int, code uint16, size int) (grown, room []byte) {
	message = binary.BigEndian.AppendUint16(message, code)
	message = binary.BigEndian.AppendUint16(message, uint16(size))
	start := len(message)
	message = append(message, make([]byte, size)...)
	length := message[opt+optSize-2:]
	binary.BigEndian.PutUint16(length, uint16(len(message)-opt-optSize))
	return message, message[start:]
}
