package policy

import (
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
)

// Action is what becomes of a query that an entry holds for.
type Action uint8

// The actions. The zero Action stands for what the entry says.
const (
	Given    Action = iota
	NXDomain        // there is no such name
	NoData          // there is nothing of the type
	Passthru        // as if there were no policy from this one on
	Drop            // no answer
	TCPOnly         // over UDP, nothing but the invitation to ask over TCP
	Redirect        // an alias of another name
	Data            // records of the policy
	Log             // nothing, but it is counted and logged
)

var actions = [...]string{"given", "nxdomain", "nodata", "passthru", "drop", "tcp-only", "redirect", "data", "log"}

// String is the word used in the configuration file, in logs and in metrics.
func (a Action) String() string { return actions[a] }

// Actions are the words of the actions that may take the place of what entries say.
func Actions() []string {
	return []string{Given.String(), NXDomain.String(), NoData.String(), Passthru.String(), Drop.String(), TCPOnly.String(), Log.String()}
}

// ParseAction is the action for one of the words in [Actions]; false for any other text.
func ParseAction(text string) (Action, bool) {
	for _, a := range []Action{Given, NXDomain, NoData, Passthru, Drop, TCPOnly, Log} {
		if text == a.String() {
			return a, true
		}
	}
	return Given, false
}

// Rule is what an entry says. It must not be changed.
type Rule struct {
	Action Action
	// Target is that of Redirect. Below a wildcard, the name that was asked for goes
	// before it.
	Target   zones.Name
	Wildcard bool
	// Records are those of Data, without a proper owner.
	Records []dns.RR
	TTL     uint32 // seconds, of Redirect
}

// The TTLs of what is said in the place of another answer, in seconds.
const (
	// DefaultTTL is that of what no zone says otherwise of. It is short, because what is
	// blocked by mistake should not be for long.
	DefaultTTL = 60
	// MaxTTL bounds what zones say.
	MaxTTL = 3600
)

// Options are what a [Policy] is, besides its entries.
type Options struct {
	Name string
	// Action takes the place of what the entries say, but for the exceptions of lists.
	Action Action
	// Addresses, if there are any, are answered instead, and Action is not looked at.
	Addresses []netip.Addr
	// Code is the extended error (RFC 8914) that answers come with; 0 stands for Blocked.
	Code uint16
}

// Policy is a set of entries, and what is done where one holds. It is immutable, and any
// number of goroutines may use it.
type Policy struct {
	name     string
	code     uint16
	override *Rule // nil where the entries say what is done
	entries  *table
	except   *table // names that exceptions of lists hold for
	zone     zones.Name
	ttl      uint32
}

// Match is an entry that holds for a name or an address.
type Match struct {
	Policy *Policy
	Entry  string // as it would be written: "*.bad.example", "203.0.113.0/24"
	Rule   *Rule
}

// Name is the name of the policy.
func (p *Policy) Name() string { return p.name }

// Code is the extended error (RFC 8914) that answers come with.
func (p *Policy) Code() uint16 { return p.code }

// Len is the number of entries, exceptions included.
func (p *Policy) Len() int { return p.entries.len() + p.except.len() }

// HasAddresses tells whether there are entries for addresses.
func (p *Policy) HasAddresses() bool { return p.entries.addresses.Size() > 0 }

// Match finds the entry that holds for a name: an exception, else the name itself, else the
// longest wildcard above it.
func (p *Policy) Match(name zones.Name) (Match, bool) {
	if entry, rule := p.except.find(name); rule != nil {
		return Match{p, "@@" + entry, rule}, true
	}
	entry, rule := p.entries.find(name)
	return p.match(entry, rule), rule != nil
}

// MatchAddress finds the entry that holds for an address: the longest prefix. The number
// is its length.
func (p *Policy) MatchAddress(addr netip.Addr) (m Match, bits int, found bool) {
	prefix, rule := p.entries.findAddress(addr)
	if rule == nil {
		return Match{}, 0, false
	}
	return p.match(prefix.String(), rule), prefix.Bits(), true
}

func (p *Policy) match(entry string, rule *Rule) Match {
	if p.override != nil {
		rule = p.override
	}
	return Match{p, entry, rule}
}

// SOA is the record that comes with a denial of a name. It is the name's own, so that
// nothing is said of others and whoever forwards to this server keeps it (RFC 2308 section
// 5); its primary is the policy zone, if there is one.
func (p *Policy) SOA(name zones.Name) *dns.SOA {
	primary := p.zone
	if primary.IsZero() || primary.IsRoot() {
		primary = name
	}
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: name.FQDN(), Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: p.ttl},
		Ns:  primary.FQDN(), Mbox: "nobody.invalid.", Serial: 1, Refresh: 3600, Retry: 1200, Expire: 604800, Minttl: p.ttl,
	}
}

// Answer gives the records that a rule has for a name and a type: for ANY, those of one
// type (RFC 8482).
func (r *Rule) Answer(name zones.Name, qtype uint16) (records []dns.RR) {
	for _, rr := range r.Records {
		if kind := rr.Header().Rrtype; kind == qtype || qtype == dns.TypeANY && kind == r.Records[0].Header().Rrtype {
			rr = dns.Copy(rr)
			rr.Header().Name = name.FQDN()
			records = append(records, rr)
		}
	}
	return records
}

// TargetOf is the name that a rule of Redirect leads a name to; false where that would be
// too long, or the name itself.
func (r *Rule) TargetOf(name zones.Name) (zones.Name, bool) {
	target := r.Target
	if r.Wildcard && !name.IsRoot() {
		target = target.Under(strings.TrimSuffix(name.FQDN(), "."))
	}
	_, fits := dns.IsDomainName(target.FQDN())
	return target, fits && target != name
}

// addressRule answers addresses.
func addressRule(addresses []netip.Addr) *Rule {
	rule := &Rule{Action: Data}
	for _, addr := range addresses {
		header := dns.RR_Header{Name: ".", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: DefaultTTL}
		if addr.Is4() {
			rule.Records = append(rule.Records, &dns.A{Hdr: header, A: addr.AsSlice()})
			continue
		}
		header.Rrtype = dns.TypeAAAA
		rule.Records = append(rule.Records, &dns.AAAA{Hdr: header, AAAA: addr.AsSlice()})
	}
	return rule
}
