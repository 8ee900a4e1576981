package source

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pldns/config"
	"pldns/zones"
)

// Composed is a configuration with what sources learned.
type Composed struct {
	Config  *config.Config
	Origins *Origins
	// Differences are names that are written by hand, or learned by a source of more
	// authority, and that another source says otherwise.
	Differences []Difference
	// Warnings are what was left out of what was learned, or is probably not meant, in
	// a stable order.
	Warnings []string
	// Waiting are sources that some network learns from and that have never given a
	// set: what these networks see is not complete.
	Waiting []string
}

// Difference is a name that two sources say different things of.
type Difference struct {
	Network string       `json:"network"`
	Name    string       `json:"name"`
	Served  []netip.Addr `json:"served"`
	By      Origin       `json:"by"`
	Learned []netip.Addr `json:"learned"` // and not served
	From    Origin       `json:"from"`
}

// String is the difference on one line.
func (d Difference) String() string {
	return fmt.Sprintf("%s in network %s is %s by %s, and would be %s by %s",
		d.Name, d.Network, addresses(d.Served), d.By, addresses(d.Learned), d.From)
}

func addresses(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, addr := range addrs {
		texts[i] = addr.String()
	}
	return strings.Join(texts, ", ")
}

// Compose adds what sources learned to a configuration, which is not changed. The
// sources are in the order of their authority, below that of the configuration's own
// files. Without sources, the configuration is what comes of it.
func Compose(base *config.Config, learned ...Source) *Composed {
	made := *base
	made.Networks = slices.Clone(base.Networks)
	c := &composer{Composed: &Composed{Config: &made, Origins: newOrigins(base)}}
	sets := make([]*Set, len(learned))
	for i, source := range learned {
		sets[i], _ = source.Last()
		if sets[i] == nil && wanted(base, source.Name()) {
			c.Waiting = append(c.Waiting, source.Name())
		}
	}
	for i := range made.Networks {
		n := &made.Networks[i]
		for j, source := range learned {
			if sets[j] == nil || sets[j].Shares[n.Name] == nil {
				continue
			}
			c.add(n, source.Name(), sets[j].Shares[n.Name], sets[j].Taken)
		}
	}
	before := make([][]netip.Prefix, len(made.Networks)) // clients, as they are written
	for i := range made.Networks {
		before[i] = made.Networks[i].Clients
	}
	c.clients(learned, sets)
	if slices.ContainsFunc(sets, func(s *Set) bool { return s != nil }) {
		c.build(base, before)
	}
	slices.Sort(c.Warnings)
	c.Warnings = slices.Compact(c.Warnings)
	return c.Composed
}

// build makes the table of what is composed. Whatever was learned, there is one: where
// clients that were learned leave a network none, they are left out, and where anything
// else clashes, which would be a fault of this program, all that was learned.
func (c *composer) build(base *config.Config, written [][]netip.Prefix) {
	err := c.Config.Build()
	if err == nil {
		return
	}
	c.warn("no clients that were learned are served, because they leave others none: %s: write clients by hand", oneLine(err))
	for i := range c.Config.Networks {
		c.Config.Networks[i].Clients = written[i]
	}
	if err = c.Config.Build(); err == nil {
		return
	}
	c.warn("nothing that was learned is served: %s", oneLine(err))
	c.Config, c.Origins = base, newOrigins(base)
}

// oneLine is an error on one line.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// wanted tells whether a network learns from a source.
func wanted(c *config.Config, name string) bool {
	return slices.ContainsFunc(c.Networks, func(n config.Network) bool {
		return n.Azure != nil && slices.ContainsFunc(n.Azure.From, func(from string) bool { return AzureName(from) == name })
	})
}

// AzureName is the name of the source of a table [azure.NAME].
func AzureName(table string) string { return "azure." + table }

type composer struct {
	*Composed
}

func (c *composer) warn(format string, args ...any) {
	c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...))
}

// add adds the endpoints and zones of a share to a network.
func (c *composer) add(n *config.Network, from string, share *Share, taken time.Time) {
	claims := claimsOf(n, share)
	n.Zones = slices.Clone(n.Zones)
	var fresh []config.Endpoint
	for i := range share.Endpoints {
		e := &share.Endpoints[i]
		origin := originAt(from, e.Place, share, taken)
		held, free := claims.take(e)
		if !free {
			c.differ(n, e, held, origin)
			continue
		}
		fresh = append(fresh, *e)
		c.Origins.learned(n.Name, e.Name, origin)
	}
	if len(fresh) > 0 {
		*n = n.With(fresh)
	}
	for i := range share.Zones {
		c.zone(n, &share.Zones[i], claims)
	}
}

// differ notes a mapping that gives way, if it says otherwise.
func (c *composer) differ(n *config.Network, e *config.Endpoint, held *config.Endpoint, origin Origin) {
	switch {
	case held == nil:
		c.warn("%s of network %s stands among the records of a zone that is written by hand: what %s says of it is left out",
			e.Name, n.Name, origin)
	case !sameAddresses(held.Addresses, e.Addresses):
		by, _ := c.Origins.Of(n.Name, held.Name)
		c.Differences = append(c.Differences, Difference{
			Network: n.Name, Name: e.Name.String(), Served: held.Addresses, By: by, Learned: e.Addresses, From: origin,
		})
	}
}

// sameAddresses compares without regard to the order.
func sameAddresses(a, b []netip.Addr) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(addr netip.Addr) bool { return !slices.Contains(b, addr) })
}

// zone adds a zone that a source sees: its policy where nothing by hand says one, and
// those of its records whose name is free.
func (c *composer) zone(n *config.Network, z *Zone, claims *claims) {
	at := slices.IndexFunc(n.Zones, func(own zones.ZoneSpec) bool { return own.Name == z.Name })
	if at < 0 {
		n.Zones = append(n.Zones, zones.ZoneSpec{Name: z.Name})
		at = len(n.Zones) - 1
	}
	own := &n.Zones[at]
	if own.Missing == zones.Inherit && n.Missing == zones.Inherit {
		own.Missing = z.Missing
	}
	own.Records = slices.Clip(own.Records)
	for _, rr := range z.Records {
		if name := zones.NameOf(rr.Header().Name); claims.takeName(name) {
			own.Records = append(own.Records, rr)
		}
	}
}

// originAt is the origin of what a source learned.
func originAt(source string, at config.Place, share *Share, taken time.Time) Origin {
	origin := Origin{Source: source, Place: at.Key(), Seen: taken}
	if seen, known := share.Seen[at]; known {
		origin.Seen = seen
	}
	return origin
}

// claims are the names of one network.
type claims struct {
	names   map[zones.Name]*config.Endpoint // nil for the owner of a record
	private map[zones.Name]*config.Endpoint
}

// claimsOf are those of a network which matter to a share: the network's own files may
// hold many times more than is learned.
func claimsOf(n *config.Network, share *Share) *claims {
	asked := make(map[zones.Name]bool, 2*len(share.Endpoints))
	for i := range share.Endpoints {
		asked[share.Endpoints[i].Name], asked[share.Endpoints[i].Private] = true, true
	}
	for i := range share.Zones {
		for _, rr := range share.Zones[i].Records {
			asked[zones.NameOf(rr.Header().Name)] = true
		}
	}
	delete(asked, zones.Name{}) // no private name
	c := &claims{
		names:   make(map[zones.Name]*config.Endpoint, len(share.Endpoints)),
		private: make(map[zones.Name]*config.Endpoint, len(share.Endpoints)),
	}
	for e := range n.Endpoints() {
		if asked[e.Name] || asked[e.Private] {
			held := e // which is kept, as the others are not
			c.enter(&held)
		}
	}
	for _, z := range n.Zones {
		for _, rr := range z.Records {
			c.names[zones.NameOf(rr.Header().Name)] = nil
		}
	}
	return c
}

func (c *claims) enter(e *config.Endpoint) {
	c.names[e.Name] = e
	if !e.Private.IsZero() {
		c.private[e.Private] = e
	}
}

// take enters a mapping, unless one of its names is taken: by whom is nil for a record
// by hand. Several public names may share a private one if they agree about it.
func (c *claims) take(e *config.Endpoint) (held *config.Endpoint, free bool) {
	for _, name := range []zones.Name{e.Name, e.Private} {
		if name.IsZero() {
			continue
		}
		if other, taken := c.names[name]; taken {
			return other, false
		}
	}
	if other, taken := c.private[e.Name]; taken {
		return other, false
	}
	if other, taken := c.private[e.Private]; taken && !e.Private.IsZero() && !alike(other, e) {
		return other, false
	}
	c.enter(e)
	return nil, true
}

// takeName enters the owner of a record, unless something stands there.
func (c *claims) takeName(name zones.Name) bool {
	other, taken := c.names[name]
	if taken && other != nil || c.private[name] != nil {
		return false
	}
	c.names[name] = nil
	return true
}

// alike tells whether two public names of one private name say the same of it.
func alike(a, b *config.Endpoint) bool {
	return slices.Equal(a.Addresses, b.Addresses) && a.TTL == b.TTL && a.Probe.Alike(b.Probe) && a.Pick == b.Pick && a.Zone == b.Zone
}
