package observe

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/wire"
)

// Filter says of which queries somebody wants to be told: of those that have one of the
// things listed of each kind. A kind of which nothing is listed is not looked at, so that
// the zero Filter wants every query.
type Filter struct {
	Networks []string // by name; the empty one stands for clients of no network
	Clients  []netip.Prefix
	Names    []Pattern
	Outcomes []Outcome
	// Transports are what the query came over.
	Transports []resolver.Transport
}

// Pattern is what a name has to look like: a part of it; or, where the pattern holds a *,
// all of it, and each * stands for whatever there is. Letter case does not matter, and
// neither does a final dot.
type Pattern string

// NewPattern is the pattern of a text that somebody wrote.
func NewPattern(text string) Pattern {
	return Pattern(strings.ToLower(strings.TrimSuffix(strings.TrimSpace(text), ".")))
}

// Matches tells whether a name, in lower case and without its final dot, looks so.
func (p Pattern) Matches(name string) bool {
	parts := strings.Split(string(p), "*")
	last := len(parts) - 1
	if last == 0 {
		return strings.Contains(name, string(p))
	}
	rest, begins := strings.CutPrefix(name, parts[0])
	if !begins || !strings.HasSuffix(rest, parts[last]) {
		return false
	}
	rest = rest[:len(rest)-len(parts[last])]
	for _, part := range parts[1:last] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return true
}

// Outcome is what a client got, in one word.
type Outcome string

// The outcomes. Every reply has one of the first five, or none of them: then it has Failed.
const (
	Answered Outcome = "answered" // records of the type that was asked for, or a reply that is cut short
	NoData   Outcome = "nodata"   // no record of that type
	NXDomain Outcome = "nxdomain"
	Refused  Outcome = "refused"
	ServFail Outcome = "servfail"
	Failed   Outcome = "failed" // any code that is neither NOERROR nor NXDOMAIN
)

// Outcomes are all outcomes.
func Outcomes() []Outcome { return []Outcome{Answered, NoData, NXDomain, Refused, ServFail, Failed} }

// ParseOutcome is the outcome of a word; the error names those that there are.
func ParseOutcome(word string) (Outcome, error) {
	word = strings.ToLower(strings.TrimSpace(word))
	if !slices.Contains(Outcomes(), Outcome(word)) {
		return "", fmt.Errorf("outcome: %q is none: write answered, nodata, nxdomain, refused, servfail, or failed for every "+
			"code but NOERROR and NXDOMAIN", word)
	}
	return Outcome(word), nil
}

// ParsePrefix reads a client, by its address or as a prefix; anything else is an error.
func ParsePrefix(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return prefix, fmt.Errorf("client: %q is neither an address nor a prefix: write one such as 10.0.0.7 or 10.0.0.0/16", text)
	}
	return prefix.Masked(), nil
}

const (
	// maxFilters is how many things of one kind a filter of a request may list.
	maxFilters = 16
	// maxStars bounds what it takes to look for a pattern in a name.
	maxStars = 16
)

// FilterKeys are the parameters of a request that [ParseFilter] reads.
func FilterKeys() []string { return []string{"network", "client", "name", "outcome", "transport"} }

// ParseFilter reads a filter from the parameters of a request. Each may be given several
// times, and outcome and transport with commas as well. The error says what is wrong with
// which of them.
func ParseFilter(values url.Values) (Filter, error) {
	var f Filter
	var faults []error
	for _, kind := range FilterKeys() {
		if len(values[kind]) > maxFilters {
			faults = append(faults, fmt.Errorf("%s: at most %d can be looked for at once", kind, maxFilters))
		}
	}
	if len(faults) > 0 {
		return f, errors.Join(faults...)
	}
	f.Networks = slices.Clone(values["network"])
	for _, text := range values["client"] {
		if strings.TrimSpace(text) == "" {
			continue
		}
		prefix, err := ParsePrefix(text)
		faults = append(faults, err)
		f.Clients = append(f.Clients, prefix)
	}
	for _, text := range values["name"] {
		pattern := NewPattern(text)
		if strings.Count(string(pattern), "*") > maxStars {
			faults = append(faults, fmt.Errorf("name: a pattern has at most %d stars", maxStars))
		}
		if pattern != "" {
			f.Names = append(f.Names, pattern)
		}
	}
	for _, word := range wordsOf(values["outcome"]) {
		outcome, err := ParseOutcome(word)
		faults = append(faults, err)
		f.Outcomes = append(f.Outcomes, outcome)
	}
	for _, word := range wordsOf(values["transport"]) {
		transport, err := resolver.ParseTransport(strings.ToLower(word))
		if err != nil {
			err = fmt.Errorf("transport: %w", err)
		}
		faults = append(faults, err)
		f.Transports = append(f.Transports, transport)
	}
	return f, errors.Join(faults...)
}

// wordsOf are the words of a parameter, between commas.
func wordsOf(texts []string) (words []string) {
	for word := range strings.SplitSeq(strings.Join(texts, ","), ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return words
}

// Match tells whether a query is wanted. What is cheap to look at is looked at first.
func (f *Filter) Match(e *listen.Exchange) bool {
	return (len(f.Transports) == 0 || slices.Contains(f.Transports, resolver.Transport(e.Transport))) &&
		(len(f.Networks) == 0 || slices.Contains(f.Networks, e.Answer.Network)) &&
		(len(f.Clients) == 0 || slices.ContainsFunc(f.Clients, func(p netip.Prefix) bool { return p.Contains(e.Query.Client.Addr) })) &&
		(len(f.Outcomes) == 0 || slices.ContainsFunc(f.Outcomes, func(o Outcome) bool { return o.is(e) })) &&
		(len(f.Names) == 0 || f.named(e))
}

func (f *Filter) named(e *listen.Exchange) bool {
	name := strings.TrimSuffix(e.Name().String(), ".")
	return slices.ContainsFunc(f.Names, func(p Pattern) bool { return p.Matches(name) })
}

// is tells whether a query came to this.
func (o Outcome) is(e *listen.Exchange) bool {
	switch rcode := e.Answer.Rcode; o {
	case Answered:
		return rcode == dns.RcodeSuccess && hasAnswer(e)
	case NoData:
		return rcode == dns.RcodeSuccess && !hasAnswer(e)
	case NXDomain:
		return rcode == dns.RcodeNameError
	case Refused:
		return rcode == dns.RcodeRefused
	case ServFail:
		return rcode == dns.RcodeServerFailure
	default:
		return rcode != dns.RcodeSuccess && rcode != dns.RcodeNameError
	}
}

// hasAnswer tells whether a reply without an error has what was asked for: its last record
// is no alias, unless aliases were wanted.
func hasAnswer(e *listen.Exchange) bool {
	records, ok := wire.ReadRecords(e.Reply)
	if !ok || wire.Flags(e.Reply)&wire.TC != 0 {
		return ok
	}
	last := uint16(0)
	for range wire.Count(e.Reply, wire.Answer) {
		record, ok := records.Record()
		if !ok {
			return false
		}
		if record.Type != dns.TypeRRSIG {
			last = record.Type
		}
	}
	asked := e.Query.Type
	return last != 0 && (last != dns.TypeCNAME || asked == dns.TypeCNAME || asked == dns.TypeANY)
}
