package daemon

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"pldns/config"
	"pldns/resolver/admin"
	"pldns/resolver/listen"
	"pldns/resolver/metrics"
	"pldns/resolver/primary"
	"pldns/resolver/secondary"
	"pldns/resolver/tsig"
	"pldns/zones/catalogzone"
	"pldns/zones/content"
)

// exchange is what zones are exchanged with other servers by. It outlives reloads, with all
// that it holds.
type exchange struct {
	dir       string // where copies and serials are on disk; empty for nowhere
	secondary *secondary.Server
	primary   *primary.Server
	// relisting and renewal follow the catalogs, and the zones of policies.
	relisting *relisting
	renewal   *renewal
}

// exchanged is what a configuration exchanges.
type exchanged struct {
	*exchange
	sources []secondary.Source
	given   []primary.Zone
	keys    tsig.Ring
	copies  map[string]config.Copy // by id

	catalogs    []config.Catalog
	listed      map[string]*catalogzone.Catalog // by catalogKey; nil where nothing is known
	policyZones []config.PolicyZone
}

// newExchanged reads what a configuration exchanges, by what the one before did it, and
// completes the configuration by what is held: see [exchanged.complete]. It is an error if what
// is held would have to move.
func (s *Server) newExchanged(c *config.Config, before *exchanged) (*exchanged, *config.Config, []string, error) {
	x := &exchanged{sources: sourcesOfCopies(c), keys: ringOf(c), copies: make(map[string]config.Copy)}
	for _, t := range c.Transfers {
		x.given = append(x.given, primary.Zone{
			Network: t.Network, Name: t.Zone, Copy: t.Copy, Peers: t.To, Tell: t.Notify, Key: x.keyOf(t.Key),
		})
	}
	switch {
	case before != nil && before.dir == c.Secondary.State:
		x.exchange = before.exchange
	case before != nil && len(before.sources) > 0 && len(x.sources) > 0:
		return nil, nil, nil, fmt.Errorf("secondary.state is %s now and was %s, which takes a restart while zones are held: "+
			"restart the program, or put it back as it was", cmp.Or(c.Secondary.State, "not given"), cmp.Or(before.dir, "not given"))
	default:
		x.exchange = s.newExchange(c.Secondary.State)
	}
	c, warnings, err := x.complete(c, before)
	if err != nil {
		return nil, nil, nil, err
	}
	x.sources = sourcesOfCopies(c)
	for _, held := range c.Copies {
		x.copies[held.ID] = held
	}
	return x, c, warnings, nil
}

func (s *Server) newExchange(dir string) *exchange {
	x := &exchange{dir: dir, primary: primary.New(primary.Options{Dir: dir, Replace: config.ReplaceFile, Log: s.log})}
	x.relisting = &relisting{server: s, of: x, news: make(chan struct{}, 1)}
	x.renewal = &renewal{server: s, of: x, news: make(chan struct{}, 1), made: make(map[string]*zonePolicy)}
	x.secondary = secondary.New(secondary.Options{
		Dir: dir, Replace: config.ReplaceFile, Logger: s.log, Observer: s.recorder.Secondary(),
		Changed: func([]string) { s.copiesChanged(x) },
	})
	return x
}

// ringOf are the keys that queries of other servers may be signed with.
func ringOf(c *config.Config) tsig.Ring {
	ring := make(tsig.Ring)
	for _, key := range c.Keys {
		ring[key.Name] = &tsig.Key{Name: key.Name, Algorithm: key.Algorithm, Secret: key.Secret}
	}
	return ring
}

func (x *exchanged) keyOf(key *config.Key) *tsig.Key {
	if key == nil {
		return nil
	}
	return x.keys[key.Name]
}

// sourcesOfCopies are the zones of other servers that a configuration has held as copies.
func sourcesOfCopies(c *config.Config) (all []secondary.Source) {
	keys, catalogs := exchanged{keys: ringOf(c)}, make(map[string]bool)
	for _, of := range c.Catalogs {
		catalogs[of.Copy] = true
	}
	for _, held := range c.Copies {
		source := secondary.Source{
			ID: held.ID, Zone: held.Zone, For: strings.Join(held.Networks, " "), MaxRecords: c.Secondary.MaxRecords,
		}
		if catalogs[held.ID] {
			source.Check = catalogCheck
		}
		for _, p := range held.Primaries {
			asked := secondary.Primary{Addr: p.Addr, Key: keys.keyOf(p.Key)}
			if p.TLS {
				name := cmp.Or(p.ServerName, p.Addr.Addr().WithZone("").String())
				asked.TLS = &tls.Config{ServerName: name, RootCAs: c.Secondary.Roots, MinVersion: tls.VersionTLS13}
			}
			source.Primaries = append(source.Primaries, asked)
		}
		all = append(all, source)
	}
	return all
}

// hold has what is exchanged held from now on, copies from disk included, and answers from
// that.
func (s *served) hold() {
	x := s.exchanged
	x.secondary.Hold(x.sources)
	copies := x.secondary.Copies()
	s.snapshot = s.snapshot.WithCopies(copies)
	x.primary.Hold(s.snapshot.Table(), x.given, copies)
	x.renewal.keep(x.policyZones)
}

// peers are the servers that zones are exchanged with.
func (x *exchanged) peers() listen.Peers {
	p := listen.Peers{Keys: x.keys}
	if len(x.sources) > 0 {
		p.Notified = x.secondary
	}
	if len(x.given) > 0 {
		p.Transfers = x.primary
	}
	return p
}

// runners are the long-lived parts.
func (x *exchange) runners() []runner {
	return []runner{x.secondary, x.primary, x.relisting, x.renewal}
}

// copiesChanged serves what copies have become. A reload that is under way comes before or
// after that, as a whole: each begins with what the other has served.
func (s *Server) copiesChanged(x *exchange) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	now := s.now()
	if s.stopping || now.exchange != x {
		return
	}
	copies := x.secondary.Copies()
	parts, next := *now.parts, *now
	parts.snapshot = now.snapshot.WithCopies(copies)
	next.parts = &parts
	s.current.Store(&next)
	s.resolver.Swap(parts.snapshot)
	x.primary.Copies(copies)
	x.relisting.tell()
	x.renewal.tell()
}

// copiesOnDisk are the last good copies of zones that a configuration has on disk, for those
// who do not serve. Nothing is asked, and nothing is changed but that a file which cannot be
// used is set aside.
func copiesOnDisk(c *config.Config) *secondary.Server {
	server := secondary.New(secondary.Options{Dir: c.Secondary.State, Replace: config.ReplaceFile})
	server.Hold(sourcesOfCopies(c))
	return server
}

// withCopiesOnDisk is a configuration with what the copies on disk say of it, for the same, and
// the copies.
func withCopiesOnDisk(c *config.Config) (*config.Config, map[string]content.Copy, error) {
	server := copiesOnDisk(c)
	copies := server.Copies()
	c, _, err := joined(c, listings(c, copies, nil))
	if err != nil {
		return nil, nil, err
	}
	r := &renewal{server: &Server{log: slog.New(slog.DiscardHandler)}, made: make(map[string]*zonePolicy)}
	c = r.apply(c, copies)
	server.Hold(sourcesOfCopies(c))
	return c, server.Copies(), nil
}

// unanswered are the zones that clients are told SERVFAIL of, and why.
func (x *exchanged) unanswered() (all []string) {
	for _, state := range x.secondary.States() {
		why := "has expired"
		switch {
		case !state.Loaded:
			why = "has no copy yet"
		case !state.Expired:
			continue
		}
		text := fmt.Sprintf("zone %s %s", state.Zone, why)
		if use := x.useOf(state.ID); use != "" {
			text = fmt.Sprintf("zone %s of %s %s", state.Zone, use, why)
			if state.Expired {
				text += ", and what it said last goes on"
			}
		} else if networks := x.copies[state.ID].Networks; len(networks) > 0 {
			text = fmt.Sprintf("zone %s of %s %s", state.Zone, strings.Join(networks, ", "), why)
		}
		if state.Fault != "" {
			text += ": " + state.Fault
		}
		all = append(all, text)
	}
	return all
}

// useOf is what a copy is for that no client is answered from, in words; empty for others.
func (x *exchanged) useOf(id string) string {
	for _, of := range x.catalogs {
		if of.Copy == id {
			return "a catalog"
		}
	}
	for _, of := range x.policyZones {
		if of.Copy == id {
			return "policy " + of.Options.Name
		}
	}
	return ""
}

// concerned are the networks that are answered from a copy, or by what it lists or says; an
// empty one stands for all that have it.
func (x *exchanged) concerned(id string) []string {
	networks := slices.Clone(x.copies[id].Networks)
	for _, of := range x.catalogs {
		if of.Copy == id {
			networks = append(networks, of.Network)
		}
	}
	if len(networks) == 0 {
		networks = append(networks, "")
	}
	return networks
}

// shown are the zones that are exchanged, as operators see them.
func (x *exchanged) shown() (all admin.Zones) {
	for _, state := range x.secondary.States() {
		known := x.copies[state.ID]
		z := admin.Zone{
			Name: state.Zone.String(), Networks: append([]string{}, known.Networks...), Primaries: []string{}, State: admin.ZoneHeld,
			Serial: state.Serial, Records: state.Records, Primary: state.Primary, Confirmed: state.Refreshed, Changed: state.Changed,
			Next: state.Next, Expires: state.Expires, Error: state.Fault, Since: state.Since, Unsaved: state.Unsaved,
		}
		z.Use = x.useOf(state.ID)
		if !known.Catalog.IsZero() {
			z.Catalog = known.Catalog.String()
		}
		for _, p := range known.Primaries {
			z.Primaries = append(z.Primaries, p.Text)
			if p.Key != nil {
				z.Key = p.Key.Name.String()
			}
		}
		switch {
		case !state.Loaded:
			z.State = admin.ZoneNone
		case state.Expired:
			z.State = admin.ZoneExpired
		}
		all.Copies = append(all.Copies, z)
	}
	given := make(map[string]primary.Zone)
	for _, g := range x.given {
		given[g.Network+" "+g.Name.String()] = g
	}
	for _, state := range x.primary.States() {
		known := given[state.Network+" "+state.Zone.String()]
		g := admin.Given{
			Name: state.Zone.String(), Network: state.Network, To: known.Peers, Made: state.Made, Serial: state.Serial,
			Records: state.Records, Changed: state.Changed, Error: state.Fault, Whole: int64(state.Whole), Changes: int64(state.Changes),
		}
		if known.Key != nil {
			g.Key = known.Key.Name.String()
		}
		for _, told := range state.Told {
			g.Told = append(g.Told, admin.Told{To: told.To, Serial: told.Serial, At: told.At, Error: told.Fault})
		}
		all.Given = append(all.Given, g)
	}
	return all
}

// measured are the zones that are exchanged, as metrics have them.
func (x *exchanged) measured() (held []metrics.Zone, given []metrics.Given) {
	seen := make(map[string]bool) // a series is there once
	for _, state := range x.secondary.States() {
		networks := slices.DeleteFunc(x.concerned(state.ID), func(network string) bool {
			key := network + " " + state.Zone.String()
			twice := seen[key]
			seen[key] = true
			return twice
		})
		held = append(held, metrics.Zone{
			Name: state.Zone.String(), Networks: networks, Held: state.Loaded && !state.Expired, Expired: state.Expired,
			Serial: state.Serial, Records: state.Records, Confirmed: state.Refreshed, Expires: state.Expires,
			OK: state.Fault == "", Saved: x.dir != "" && state.Loaded && state.Unsaved == "",
		})
	}
	for _, state := range x.primary.States() {
		g := metrics.Given{
			Name: state.Zone.String(), Network: state.Network, Serial: state.Serial,
			Whole: int64(state.Whole), Changes: int64(state.Changes),
		}
		for _, told := range state.Told {
			if told.Fault != "" {
				g.Untold++
			}
		}
		given = append(given, g)
	}
	return held, given
}
