package config

import (
	"crypto/x509"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pldns/zones"
	"pldns/zones/azure"
)

// oddName is a name that fits no row of the catalogue and looks as if it should.
type oddName struct {
	name  zones.Name
	place Place
	guess azure.Guess
}

// noteOdd remembers a name outside the catalogue that looks like one in it. Whether
// that deserves a warning is known when all zones are read.
func (l *loader) noteOdd(endpoint Endpoint) {
	if l.guesser == nil {
		l.guesser = l.catalogue.Guesser()
	}
	guess, odd := l.guesser.Guess(endpoint.Name)
	switch {
	case !odd:
	case len(l.odd) < maxOdd:
		l.odd = append(l.odd, oddName{endpoint.Name, endpoint.Place, guess})
	default:
		if l.oddMore++; l.oddMore == 1 {
			l.oddMoreAt = endpoint.Place
		}
	}
}

// maxOdd is how many odd names are told of one by one.
const maxOdd = 1000

// warnOfNames reports odd names, but for those in a zone that the operator declares:
// there they are meant as they are written.
func (l *loader) warnOfNames() {
	for _, odd := range l.odd {
		if !l.isDeclared(odd.name) {
			l.rep.warn(odd.place, odd.warning())
		}
	}
	if l.oddMore > 0 {
		l.rep.warn(l.oddMoreAt, faultf("correct those that are told, and check again",
			"this name and %d after it fit no row of the catalogue either", l.oddMore-1))
	}
}

// isDeclared reports whether a name lies in a zone that some part of the files declares.
func (l *loader) isDeclared(name zones.Name) bool {
	for zone, more := name, true; more; zone, more = zone.Parent() {
		if l.shared[zone] != nil {
			return true
		}
		for _, draft := range l.drafts {
			if draft.zones[zone] != nil {
				return true
			}
		}
	}
	return false
}

// warning says what is odd about a name, and what may be meant.
func (o oddName) warning() *fault {
	text := "fits no row of the catalogue"
	switch g := o.guess; {
	case g.IsMicrosoft && g.HasPrivatelink:
		text = fmt.Sprintf("has a privatelink label, lies under %s, which is Microsoft's, and is in no zone of the catalogue", g.Domain)
	case g.HasPrivatelink:
		text = "has a privatelink label and is in no zone of the catalogue"
	case g.IsMicrosoft:
		text = fmt.Sprintf("lies under %s, which is Microsoft's, and in no zone of the catalogue", g.Domain)
	}
	zone := o.name
	if parent, _ := zone.Parent(); zone.IsWildcard() || len(parent.Labels()) > 2 {
		zone = parent
	}
	own := fmt.Sprintf("declare its zone with [[catalogue]], or with [zones.%q] and missing = \"forward\" if it is your own", zone)
	if o.guess.Meant.IsZero() {
		return &fault{text, "correct the name; if it is right, " + own}
	}
	return &fault{text + ": it looks like " + o.guess.Meant.String(), fmt.Sprintf("write %s; if the name is right, %s", o.guess.Meant, own)}
}

// noteUnanswered reports a private name whose real name is not answered, because the
// catalogue cannot tell it.
func (l *loader) noteUnanswered(endpoint Endpoint, match azure.Match, public []zones.Name) {
	if len(public) > 0 || match.Entry.PrivateOnly || endpoint.Name.IsWildcard() {
		return
	}
	text := "is a private name whose real name cannot be told from it, so that clients are answered only where an upstream gives the alias"
	if match.Entry.Legacy {
		text = fmt.Sprintf("lies in %s, which a later zone of Azure superseded, so that no real name leads to it", match.Zone)
	}
	l.rep.warn(endpoint.Place,
		faultf(fmt.Sprintf("map the name that clients ask for; where its private name cannot be derived, with private_name = %q",
			endpoint.Name), "%s", text))
}

// soon is how long before its end a certificate deserves a warning.
const soon = 14 * 24 * time.Hour

// warnOfExpiry reports a certificate that clients refuse, or will soon.
func (l *loader) warnOfExpiry(at Place, leaf *x509.Certificate) {
	if leaf == nil {
		return
	}
	const renew = "renew it, and write the files of the new one"
	switch left := leaf.NotAfter.Sub(l.now); {
	case left < 0:
		l.rep.warn(at, faultf(renew, "the certificate expired on %s: clients refuse it", day(leaf.NotAfter)))
	case left < soon:
		l.rep.warn(at, faultf(renew, "the certificate expires on %s, in %d days", day(leaf.NotAfter), int(left.Hours())/24))
	case l.now.Before(leaf.NotBefore):
		l.rep.warn(at, faultf("wait, set the clock, or write the files of another one", "the certificate is not valid before %s",
			day(leaf.NotBefore)))
	}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// warnOfNetworks reports networks that anybody belongs to, and names that differ in
// letter case alone.
func (l *loader) warnOfNetworks() {
	seen := make(map[string]*networkDraft)
	for _, name := range slices.Sorted(maps.Keys(l.drafts)) {
		draft := l.drafts[name]
		l.warnOfEverybody(draft)
		l.warnOfDNS64(draft)
		folded := strings.ToLower(name)
		if other := seen[folded]; other != nil {
			l.rep.warn(draft.place, faultf("write both as one network, or give them names that cannot be mistaken",
				"networks %s and %s differ in letter case only", other.Name, name))
			continue
		}
		seen[folded] = draft
	}
}

// warnOfEverybody reports a network whose clients are the whole internet. A network
// that has to be reached in a way of its own is another matter.
func (l *loader) warnOfEverybody(draft *networkDraft) {
	if len(draft.ingresses) > 0 {
		return
	}
	for _, all := range []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("2000::/3")} {
		var within []netip.Prefix
		for _, prefix := range draft.Clients {
			if prefix.Addr().Is4() == all.Addr().Is4() {
				within = append(within, prefix)
			}
		}
		slices.SortFunc(within, netip.Prefix.Compare)
		if zones.Cover(all, slices.Values(within)) {
			at := draft.clientsPlace()
			if len(within) == 1 {
				at = draft.clients[within[0]]
			}
			l.rep.warn(at, faultf("write the prefixes of the network's own clients, or give it listeners of its own",
				"the clients of network %s are everybody on the internet, who could use this server to attack others", draft.Name))
			return
		}
	}
}

// readEgress reads the ports that the deployment lets probes out to.
func (l *loader) readEgress(t table) {
	value, given := t.value("egress")
	if !given {
		return
	}
	list, is := value.([]any)
	if !is {
		t.mismatch(t.place("egress"), value, "write egress = [443, 1433]", "a list of ports")
		return
	}
	l.egress = []uint16{}
	for i, element := range list {
		port, is := element.(int64)
		if !is || port < 1 || port > 65535 {
			l.rep.add(t.place("egress").at(i), faultf("write a whole number from 1 to 65535", "%v is no port", element))
			continue
		}
		l.egress = append(l.egress, uint16(port))
	}
}

// warnOfEgress reports a probe that the deployment does not let out: it would find
// every address unhealthy, for ever.
func (l *loader) warnOfEgress(s probeSettings) {
	if l.egress == nil || slices.Contains(l.egress, s.spec.Port) {
		return
	}
	l.rep.warn(s.place,
		faultf(fmt.Sprintf("open port %d in the policy of the deployment and add it to probe.egress, or probe another port", s.spec.Port),
			"port %d is not among probe.egress, the ports that the deployment lets out: every address would be unhealthy", s.spec.Port))
}
