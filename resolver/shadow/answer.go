package shadow

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
)

// Answer is what of an answer is compared: not the TTLs, and not the order.
type Answer struct {
	Rcode     int
	Alias     zones.Name   // where its aliases lead in the end; zero without one
	Addresses []netip.Addr // sorted
	Data      bool         // whether it has a record of the type that was asked for
}

// answerOf is what counts of an answer that is made of these records.
func answerOf(qtype uint16, rcode int, records []dns.RR) Answer {
	a := Answer{Rcode: rcode}
	for _, rr := range records {
		a.Data = a.Data || rr.Header().Rrtype == qtype
		var addr netip.Addr
		switch rr := rr.(type) {
		case *dns.CNAME:
			a.Alias = zones.NameOf(rr.Target)
		case *dns.A:
			addr, _ = netip.AddrFromSlice(rr.A)
		case *dns.AAAA:
			addr, _ = netip.AddrFromSlice(rr.AAAA)
		}
		if addr.IsValid() {
			a.Addresses = append(a.Addresses, addr.Unmap())
		}
	}
	slices.SortFunc(a.Addresses, netip.Addr.Compare)
	a.Addresses = slices.Compact(a.Addresses)
	return a
}

// failed tells whether it says that there is no answer.
func (a Answer) failed() bool { return a.Rcode != dns.RcodeSuccess && a.Rcode != dns.RcodeNameError }

// shownAddresses is how many addresses of an answer are kept and shown.
const shownAddresses = 8

// kept is the answer in memory of its own, with no more of it than is shown.
func (a Answer) kept() Answer {
	a.Addresses = slices.Clone(a.Addresses[:min(shownAddresses, len(a.Addresses))])
	a.Alias = a.Alias.Clone()
	return a
}

// String is the answer for people, on one line, such as "10.0.0.4 of
// db.privatelink.database.windows.net". It is safe to show: names are in presentation
// format.
func (a Answer) String() string {
	var text strings.Builder
	switch {
	case a.Rcode != dns.RcodeSuccess:
		return cmp.Or(dns.RcodeToString[a.Rcode], "an unknown response code")
	case !a.Data:
		text.WriteString("NODATA")
	case len(a.Addresses) == 0:
		text.WriteString("records")
	}
	for i, addr := range a.Addresses {
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString(addr.String())
	}
	if !a.Alias.IsZero() {
		text.WriteString(" of " + a.Alias.String())
	}
	return text.String()
}

// compare tells how two answers to one question differ. Ours is the network's own, or
// came from elsewhere.
//
// Public addresses of one name are those of load balancers, which tell everybody others,
// and so are the aliases that lead there. What matters is whether a client is led to a
// private address, and to which. The other may tell more private ones than we do, who
// leave out an address that does not answer its probe; we may tell none that it does not.
func compare(qtype uint16, ours, theirs Answer, own bool) Result {
	switch {
	case theirs.failed():
		return Failed
	case ours.Rcode != theirs.Rcode:
		return RcodeDiffers
	case ours.Data != theirs.Data:
		return NoData
	case ours.Rcode != dns.RcodeSuccess:
		return Same
	}
	counts := func(addr netip.Addr) bool { return own || zones.IsPrivate(addr) }
	if qtype == dns.TypeA || qtype == dns.TypeAAAA {
		if slices.ContainsFunc(ours.Addresses, counts) != slices.ContainsFunc(theirs.Addresses, counts) {
			return AddressesDiffer
		}
		for _, addr := range ours.Addresses {
			if _, told := slices.BinarySearchFunc(theirs.Addresses, addr, netip.Addr.Compare); counts(addr) && !told {
				return AddressesDiffer
			}
		}
	}
	if (own || slices.ContainsFunc(ours.Addresses, counts)) && ours.Alias != theirs.Alias {
		return AliasDiffers
	}
	return Same
}
