package wire

import (
	"strconv"

	"github.com/miekg/dns"
)

// TypeName is the mnemonic of a type, or TYPE with its number (RFC 3597).
func TypeName(qtype uint16) string { return dns.Type(qtype).String() }

// RcodeName is the mnemonic of a response code, or RCODE with its number.
func RcodeName(rcode int) string {
	if name, known := dns.RcodeToString[rcode]; known {
		return name
	}
	return "RCODE" + strconv.Itoa(rcode)
}
