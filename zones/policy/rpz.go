package policy

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
)

// Why entries of a response policy zone are left out.
const (
	whyServers = "entries by name or address of a name's servers (rpz-nsdname, rpz-nsip), " +
		"which whoever forwards is not told: use a resolver that asks the servers itself"
	whyClient  = "entries by client (rpz-client-ip): networks say who is held to which policy"
	whyOutside = "records that are not below the zone"
	whyType    = "records of types that are no action of a policy"
	whyAction  = "aliases with an rpz- action that is not known"
	whyAddress = "entries with an address that is none (as 32.7.113.0.203.rpz-ip)"
	whyMany    = "records beyond the first 64 of a name or an address"
	whyTwice   = "entries that say something else than one before for the same name or address: the first counts"
)

// readZone reads a response policy zone.
func (b *Builder) readZone(file io.Reader, zone zones.Name, left leftOut) error {
	origin := "."
	if !zone.IsZero() {
		origin = zone.FQDN()
	}
	parser := dns.NewZoneParser(file, origin, "")
	parser.SetDefaultTTL(DefaultTTL)
	z := zoneReader{Builder: b, origin: zone, left: left}
	for rr, more := parser.Next(); more; rr, more = parser.Next() {
		if err := z.record(rr); err != nil {
			return err
		}
	}
	var wrong *dns.ParseError
	if err := parser.Err(); errors.As(err, &wrong) {
		return errors.New("is no zone file: " + strings.TrimPrefix(err.Error(), "dns: "))
	} else if err != nil {
		return err
	}
	return nil
}

// zoneReader reads the records of one zone.
type zoneReader struct {
	*Builder
	origin zones.Name // zero before the first record
	left   leftOut
}

// record reads one record. The first one, an SOA record, names the zone where nobody else
// did.
func (z *zoneReader) record(rr dns.RR) error {
	owner := zones.NameOf(rr.Header().Name)
	if alias, is := rr.(*dns.CNAME); is && alias.Target == "" || dns.Len(rr) <= dns.Len(rr.Header()) {
		return fmt.Errorf("is no zone file: the %s record of %s says nothing", dns.TypeToString[rr.Header().Rrtype], owner)
	}
	soa, is := rr.(*dns.SOA)
	if z.origin.IsZero() {
		if z.origin = zones.Root(); is {
			z.origin = owner.Clone()
		}
	}
	switch {
	case is && owner == z.origin:
		z.zone, z.ttl = z.origin, min(soa.Hdr.Ttl, soa.Minttl)
		return nil
	case owner == z.origin: // NS and the like, which are there because a zone has them
		return nil
	case !owner.Within(z.origin):
		z.left.add(whyOutside, 0, owner.String())
		return nil
	}
	text := strings.TrimSuffix(owner.FQDN(), ".")
	if !z.origin.IsRoot() {
		text = strings.TrimSuffix(text, "."+z.origin.String())
	}
	return z.trigger(text, rr)
}

// trigger enters what a record says, by the part of its owner before the zone.
func (z *zoneReader) trigger(text string, rr dns.RR) error {
	kind := text[strings.LastIndexByte(text, '.')+1:]
	switch kind {
	case "rpz-nsdname", "rpz-nsip":
		z.left.add(whyServers, 0, text)
		return nil
	case "rpz-client-ip":
		z.left.add(whyClient, 0, text)
		return nil
	case "rpz-ip":
		return z.addressTrigger(text, rr)
	}
	below := text == "*" || strings.HasPrefix(text, "*.")
	name := zones.Root()
	if text != "*" {
		var err error
		if name, err = zones.ParseName(strings.TrimPrefix(text, "*.")); err != nil {
			return err // not possible: it is a part of a name
		}
	}
	rule, why := z.ruleOf(rr, text)
	if why != "" {
		z.left.add(why, 0, text)
		return nil
	}
	at, err := z.entries.enter(name)
	if err != nil {
		return err
	}
	where := &at.exact
	if below {
		where = &at.below
	}
	z.put(where, rule, text)
	return nil
}

// addressTrigger enters what a record says of addresses in answers.
func (z *zoneReader) addressTrigger(text string, rr dns.RR) error {
	prefix, ok := rpzPrefix(strings.TrimSuffix(text, ".rpz-ip"))
	if !ok {
		z.left.add(whyAddress, 0, text)
		return nil
	}
	rule, why := z.ruleOf(rr, text)
	if why != "" {
		z.left.add(why, 0, text)
		return nil
	}
	at := z.entries.prefixes[prefix]
	z.put(&at, rule, text)
	z.entries.prefixes[prefix] = at
	return nil
}

// maxRecords is how many records an entry has at most: more than an answer should have.
const maxRecords = 64

// put enters a rule. Records of one owner add up.
func (z *zoneReader) put(where *uint32, rule Rule, text string) {
	t := z.entries
	if *where > 0 && rule.Action == Data && t.rules[*where].Action == Data {
		if len(t.rules[*where].Records) >= maxRecords {
			z.left.add(whyMany, 0, text)
			return
		}
		rule.Records = append(slices.Clip(t.rules[*where].Records), rule.Records...)
		*where = t.rule(keyOf(&rule), rule)
		return
	}
	if !t.set(where, t.rule(keyOf(&rule), rule)) {
		z.left.add(whyTwice, 0, text)
	}
}

// keyOf is what a rule says.
func keyOf(r *Rule) string {
	key := r.Action.String()
	switch r.Action {
	case Redirect:
		key += " " + r.Target.FQDN() + " " + strconv.FormatBool(r.Wildcard) + " " + strconv.Itoa(int(r.TTL))
	case Data:
		for _, rr := range r.Records {
			key += "\n" + rr.String()
		}
	}
	return key
}

// ruleOf is what a record says, or why it says nothing. The text is its owner without the
// zone.
func (z *zoneReader) ruleOf(rr dns.RR, text string) (rule Rule, why string) {
	switch rr := rr.(type) {
	case *dns.CNAME:
		return aliasRule(rr, text)
	case *dns.DNAME, *dns.SOA, *dns.NS, *dns.RRSIG, *dns.NSEC, *dns.NSEC3, *dns.NSEC3PARAM, *dns.DNSKEY, *dns.DS:
		return Rule{}, whyType
	}
	rr.Header().Name = "."
	rr.Header().Ttl = min(rr.Header().Ttl, MaxTTL)
	return Rule{Action: Data, Records: []dns.RR{rr}}, ""
}

// aliasRule is the action that the target of an alias stands for.
func aliasRule(alias *dns.CNAME, text string) (rule Rule, why string) {
	target := zones.NameOf(alias.Target)
	switch name := target.FQDN(); {
	case name == ".":
		return Rule{Action: NXDomain}, ""
	case name == "*.":
		return Rule{Action: NoData}, ""
	case name == "rpz-passthru.", name == text+".": // the latter is how it was written once
		return Rule{Action: Passthru}, ""
	case name == "rpz-drop.":
		return Rule{Action: Drop}, ""
	case name == "rpz-tcp-only.":
		return Rule{Action: TCPOnly}, ""
	case strings.HasPrefix(name, "rpz-") && strings.Count(name, ".") == 1:
		return Rule{}, whyAction
	}
	rule = Rule{Action: Redirect, Target: target.Clone(), TTL: min(alias.Hdr.Ttl, MaxTTL)}
	if target.IsWildcard() {
		rule.Target, _ = target.Parent()
		rule.Wildcard = true
	}
	return rule, ""
}

// rpzPrefix is the prefix that the labels before rpz-ip stand for: its length, then the
// parts of the address from the last to the first. In IPv6, "zz" stands for "::".
func rpzPrefix(text string) (netip.Prefix, bool) {
	labels := strings.Split(text, ".")
	bits, err := strconv.Atoi(labels[0])
	parts := labels[1:]
	slices.Reverse(parts)
	if err != nil || len(parts) == 0 {
		return netip.Prefix{}, false
	}
	address := strings.Join(parts, ".")
	if len(parts) != 4 || slices.Contains(parts, "zz") {
		address = strings.NewReplacer(":zz:", "::", "zz:", "::", ":zz", "::", "zz", "::").Replace(strings.Join(parts, ":"))
	}
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	prefix := netip.PrefixFrom(addr, bits)
	return prefix, prefix.IsValid() && prefix.Masked() == prefix
}
