package traffic

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
)

// Column is something that answers are counted by. Each answer counts in one column of
// each [Group].
type Column uint8

// The columns: response codes, sources, transports.
const (
	NoError Column = iota
	NXDomain
	ServFail
	Refused
	OtherRcode
	FromLocal    // an endpoint or record of the network, decided now
	FromReplies  // a finished reply, given again
	FromCache    // what an upstream said before
	FromStale    // the same, expired, because the upstream fails
	FromUpstream // asked just now
	FromNowhere  // decided, and nobody answered
	FromRefusal  // refused before anything was decided
	OverUDP
	OverTCP
	OverTLS
	OverHTTPS
	OverQUIC
	OverHTTP3
	columns
)

// String is the word of the column for programs.
func (c Column) String() string {
	return [...]string{
		"noerror", "nxdomain", "servfail", "refused", "other",
		"local", "replies", "cache", "stale", "upstream", "none", "refusal",
		"udp", "tcp", "tls", "https", "doq", "h3",
	}[c]
}

// Group is a number of columns that each answer counts in one of.
type Group struct {
	Name    string
	Columns []Column
}

// Groups are all groups.
func Groups() []Group {
	return []Group{
		{"rcodes", []Column{NoError, NXDomain, ServFail, Refused, OtherRcode}},
		{"sources", []Column{FromLocal, FromReplies, FromCache, FromStale, FromUpstream, FromNowhere, FromRefusal}},
		{"transports", []Column{OverUDP, OverTCP, OverTLS, OverHTTPS, OverQUIC, OverHTTP3}},
	}
}

// rcodeColumn is the column of a response code.
func rcodeColumn(rcode int) Column {
	switch rcode {
	case dns.RcodeSuccess:
		return NoError
	case dns.RcodeNameError:
		return NXDomain
	case dns.RcodeServerFailure:
		return ServFail
	case dns.RcodeRefused:
		return Refused
	}
	return OtherRcode
}

// sourceColumn is the column of a decided answer, or of one that was given again.
func sourceColumn(source resolver.Source, remembered bool) Column {
	switch {
	case remembered:
		return FromReplies
	case source == resolver.FromLocal:
		return FromLocal
	case source == resolver.FromUpstream:
		return FromUpstream
	case source == resolver.FromCache:
		return FromCache
	case source == resolver.FromStale:
		return FromStale
	}
	return FromNowhere
}

// OverTransport is the column of a transport.
func OverTransport(transport resolver.Transport) Column {
	switch transport {
	case resolver.OverTCP:
		return OverTCP
	case resolver.OverTLS:
		return OverTLS
	case resolver.OverHTTPS:
		return OverHTTPS
	case resolver.OverQUIC:
		return OverQUIC
	case resolver.OverHTTP3:
		return OverHTTP3
	}
	return OverUDP
}

// Counts are numbers of answers by column.
type Counts [columns]uint64

// Total is the number of answers.
func (c Counts) Total() (total uint64) {
	for _, n := range c[FromLocal:OverUDP] {
		total += n
	}
	return total
}

// Add adds other counts.
func (c *Counts) Add(other *Counts) {
	for i, n := range other {
		c[i] += n
	}
}

// buckets is how many buckets of times there are, two for each doubling. The first ends at
// a microsecond, about, and the last begins at 8.6 s, which is longer than answers take.
const buckets = 48

// bucketOf is the bucket of the time that an answer took.
func bucketOf(took time.Duration) int {
	const first = 10 // the first bucket ends at 1<<10 ns
	ns := uint64(max(took, 0))
	doubled := bits.Len64(ns) - 1 - first
	if doubled < 0 {
		return 0
	}
	upperHalf := int(ns>>(doubled+first-1)) & 1
	return min(1+2*doubled+upperHalf, buckets-1)
}

// endOf is the end of a bucket: what is in it took less.
func endOf(bucket int) time.Duration {
	if bucket == 0 {
		return 1 << 10
	}
	doubled, upperHalf := (bucket-1)/2, (bucket-1)%2
	return time.Duration(3+upperHalf) << (doubled + 9)
}

// times are numbers of answers by the time that they took.
type times [buckets]uint64

// quantile is the bucket below whose end a share of the answers is.
func (t *times) quantile(share float64) uint8 {
	var total uint64
	for _, n := range t {
		total += n
	}
	if total == 0 {
		return 0
	}
	rank, sum := uint64(share*float64(total-1))+1, uint64(0)
	for i, n := range t {
		if sum += n; sum >= rank {
			return uint8(i)
		}
	}
	return buckets - 1
}

// Quantiles are times that half, nine tenths and 99 hundredths of the answers took at
// most, right to about 40 %. They are zero if there was none.
type Quantiles struct{ P50, P90, P99 time.Duration }

// Point is what was answered in one step of time, or in several.
type Point struct {
	At     time.Time     // when the first step began
	Length time.Duration // of the steps together; less than usual for the one that goes on
	Counts
	Quantiles
}

// Rate is how many queries a second were answered.
func (p Point) Rate() float64 {
	if p.Length <= 0 {
		return 0
	}
	return float64(p.Total()) / p.Length.Seconds()
}

// sum is what was answered in a step, while that goes on.
type sum struct {
	Counts Counts `json:"counts"`
	Times  times  `json:"times"`
}

func (s *sum) add(other *sum) {
	s.Counts.Add(&other.Counts)
	for i, n := range other.Times {
		s.Times[i] += n
	}
}

// quantiles are the buckets of the quantiles.
func (s *sum) quantiles() [3]uint8 {
	return [3]uint8{s.Times.quantile(.5), s.Times.quantile(.9), s.Times.quantile(.99)}
}

// point is a step that is over, and how it is kept: which columns are not zero, these,
// and the buckets of the quantiles.
type point struct {
	counts    Counts
	quantiles [3]uint8
}

func (p *point) append(to []byte) []byte {
	var used uint64
	for i, n := range p.counts {
		if n > 0 {
			used |= 1 << i
		}
	}
	to = binary.AppendUvarint(to, used)
	for _, n := range p.counts {
		if n > 0 {
			to = binary.AppendUvarint(to, n)
		}
	}
	return append(to, p.quantiles[:]...)
}

var errDamaged = errors.New("a point of the history cannot be read")

// readPoint reads a point, and gives what follows it.
func readPoint(from []byte) (p point, rest []byte, err error) {
	next := func() (value uint64) {
		value, length := binary.Uvarint(from)
		if length <= 0 {
			err = errDamaged
			return 0
		}
		from = from[length:]
		return value
	}
	used := next()
	for i := range p.counts {
		if used&(1<<i) != 0 && err == nil {
			p.counts[i] = next()
		}
	}
	if err != nil || used>>columns != 0 || len(from) < len(p.quantiles) {
		return point{}, nil, errDamaged
	}
	copy(p.quantiles[:], from)
	for _, bucket := range p.quantiles {
		if bucket >= buckets {
			return point{}, nil, errDamaged
		}
	}
	return p, from[len(p.quantiles):], nil
}

// durations are the quantiles as times; none if nothing was timed.
func (p *point) durations() Quantiles {
	if p.counts.Total() == p.counts[FromRefusal] {
		return Quantiles{}
	}
	return Quantiles{endOf(int(p.quantiles[0])), endOf(int(p.quantiles[1])), endOf(int(p.quantiles[2]))}
}
