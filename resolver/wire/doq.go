package wire

import "strconv"

// The error codes of DNS over QUIC, of streams and of connections (RFC 9250 section 4.3).
const (
	DoQNoError          = 0x0
	DoQInternalError    = 0x1
	DoQProtocolError    = 0x2
	DoQRequestCancelled = 0x3
	DoQExcessiveLoad    = 0x4
	DoQUnspecifiedError = 0x5
)

// DoQError is the name that the RFC has for an error code, or its number.
func DoQError(code uint64) string {
	names := [...]string{
		"DOQ_NO_ERROR", "DOQ_INTERNAL_ERROR", "DOQ_PROTOCOL_ERROR", "DOQ_REQUEST_CANCELLED", "DOQ_EXCESSIVE_LOAD", "DOQ_UNSPECIFIED_ERROR",
	}
	if code < uint64(len(names)) {
		return names[code]
	}
	return "error " + strconv.FormatUint(code, 10)
}
