package config

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"pldns/zones"
)

// Secondary says how zones of others are held: the table [secondary].
type Secondary struct {
	// State is the folder of the last good copies; empty for none, so that they are
	// forgotten at the end of the program.
	State string
	// MaxRecords is how many records a zone may have.
	MaxRecords int
	CA         string // the file that Roots has more authorities from; empty for none
	// Roots sign the certificates of primaries: those of the system and those of CA. Nil
	// stands for those of the system.
	Roots *x509.CertPool
}

// Copy is a zone of somebody else that is held as a copy, by one or several networks. Where
// they say the same of a zone, they share its copy.
type Copy struct {
	ID        string // the same for the same zone, primaries and key, whenever it is read
	Zone      zones.Name
	Primaries []Primary // at least one, in the order in which they are asked
	Networks  []string  // that are answered from it, sorted
	// Catalog is the catalog zone that lists the zone; zero where it is written down.
	Catalog zones.Name
}

// Primary is a server that a zone is taken from.
type Primary struct {
	Text string // as the operator wrote it, for messages
	Addr netip.AddrPort
	// TLS says that zones are transferred over TLS (RFC 9103); the certificate must be for
	// ServerName, or for the address where that is empty.
	TLS        bool
	ServerName string
	Key        *Key // that messages are signed with; nil for none
}

// identity is the same for two spellings of one primary.
func (p *Primary) identity() string { return fmt.Sprint(p.TLS, " ", p.Addr, " ", p.ServerName) }

// Transfer says who may take a zone, as one network has it.
type Transfer struct {
	Network string
	Zone    zones.Name
	To      []netip.Prefix   // who may
	Notify  []netip.AddrPort // who is told of changes (RFC 1996)
	Key     *Key             // that they sign with; nil for none
	Copy    string           // the id of the copy that the zone is answered from; empty for none
}

// SecondaryFiles are the files that were read for zones held as copies.
func (c *Config) SecondaryFiles() []string {
	files := []string{c.Secondary.CA}
	for _, key := range c.Keys {
		files = append(files, key.File)
	}
	return slices.DeleteFunc(files, func(file string) bool { return file == "" })
}

const (
	defaultMaxRecords = 1_000_000
	mostMaxRecords    = 100_000_000
	exampleZones      = "/var/lib/pldns/zones"
	examplePrimary    = "10.20.0.4"
)

// secondary reads how copies are held. Where they are on disk belongs to the machine.
func (l *loader) secondary(root, released table, files files) {
	t, _ := root.sub("secondary")
	t.only("state", "max_records", "ca")
	shared, _ := released.sub("secondary")
	s := &l.config.Secondary
	s.MaxRecords = t.integer("max_records", shared.integer("max_records", defaultMaxRecords, 1, mostMaxRecords), 1, mostMaxRecords)
	switch state, given := t.text("state", exampleZones); {
	case given && state == "":
		l.rep.add(t.place("state"), faultf("write the path of a folder, or remove it", "is empty"))
	case given:
		s.State = files.path(state)
	}
	if store := l.config.Store; store != nil && s.State != "" && s.State == store.State {
		l.rep.add(t.place("state"), faultf("name a folder of its own", "%q is that of the store", s.State))
	}
	s.Roots = l.authorities(t, "ca", "corp-ca.pem", "the certificates of primaries", &s.CA, files, systemRoots)
}

// fromDraft says where a zone is taken from, as the files say it.
type fromDraft struct {
	place     Place // zero where it is not taken from anybody
	primaries []Primary
	tsig      entry // names the key; empty for none
}

// given tells whether it is said where the zone is taken from.
func (d *fromDraft) given() bool { return d.place != Place{} }

// from reads where a zone is taken from: the primaries at one key of a table, and the name
// of the key for TSIG at another. Keys of several files add up.
func (l *loader) from(t table, fromKey, tsigKey string, into *fromDraft) {
	if text, given := t.text(tsigKey, exampleKey); given {
		into.tsig = entry{text, t.place(tsigKey)}
	}
	if !t.has(fromKey) {
		return
	}
	into.place = t.place(fromKey)
	entries, ok := t.texts(fromKey, examplePrimary)
	if ok && len(entries) == 0 {
		l.rep.add(into.place, faultf(fmt.Sprintf("write the addresses of primaries, such as [%q]", examplePrimary), "names no primary"))
	}
	seen := make(map[string]Place)
	for _, e := range entries {
		primary, f := parsePrimary(e.text)
		if f == nil && l.isOwn(primary.Addr) {
			f = faultf("write the address of another server", "%q is our own listener: a zone is not taken from where it goes", e.text)
		}
		if f != nil {
			l.rep.add(e.place, f)
			continue
		}
		if first, twice := seen[primary.identity()]; twice {
			l.rep.clash(e.place, first, faultf("keep one of the two", "%q is given twice", e.text))
			continue
		}
		seen[primary.identity()] = e.place
		into.primaries = append(into.primaries, primary)
	}
}

// parsePrimary reads a server that zones are taken from.
func parsePrimary(text string) (Primary, *fault) {
	scheme, rest, with := strings.Cut(text, "://")
	switch {
	case with && scheme != "tcp" && scheme != "tls", text == "system":
		return Primary{}, faultf(fmt.Sprintf(`write %q, or "tls://%s#ns.corp.example"`, examplePrimary, examplePrimary),
			"%q: zones are transferred over TCP, or over TLS", text)
	case !with:
		rest = text
	}
	primary := Primary{Text: text, TLS: scheme == "tls" && with}
	if !primary.TLS {
		var f *fault
		primary.Addr, f = parseRemote("tcp", rest, portDNS, examplePrimary)
		return primary, f
	}
	rest, primary.ServerName, _ = strings.Cut(rest, "#")
	var f *fault
	if primary.Addr, f = parseRemote(scheme, rest, portTLS, ""); f == nil {
		f = certificateFault(text, primary.ServerName)
	}
	return primary, f
}

// isOwn tells whether a server is a listener of this program.
func (l *loader) isOwn(addr netip.AddrPort) bool {
	return slices.ContainsFunc(slices.Concat(l.config.Listen.DNS, l.config.Listen.DoT), func(open netip.AddrPort) bool {
		return opens(open, addr) && (!open.Addr().IsUnspecified() || addr.Addr().IsLoopback())
	})
}

// finishFrom finds the key of what a zone is taken with, once.
func (l *loader) finishFrom(d *fromDraft) {
	if d.tsig.text == "" {
		return
	}
	if !d.given() {
		l.rep.add(d.tsig.place, &fault{"there are no primaries whose messages would be signed", "add from, or remove it"})
		return
	}
	if key := l.keyNamed(d.tsig); key != nil {
		for i := range d.primaries {
			d.primaries[i].Key = &key.Key
		}
	}
}

// copyOf enters a copy for a network, or one that serves no network by itself where that
// is empty, and gives its id.
func (l *loader) copyOf(zone zones.Name, d *fromDraft, network string) (id string) {
	var key []string
	if d.tsig.text != "" {
		key = append(key, strings.ToLower(strings.TrimSuffix(d.tsig.text, ".")))
	}
	id = copyID(zone, d.primaries, key...)
	c := l.copies[id]
	if c == nil {
		c = &Copy{ID: id, Zone: zone.Clone(), Primaries: d.primaries}
		l.copies[id] = c
		l.copyPlaces[id] = d.place
	}
	if network != "" && !slices.Contains(c.Networks, network) {
		c.Networks = append(c.Networks, strings.Clone(network))
	}
	return id
}

// copyID is the id of a copy, by where it is taken from and what else tells it from others.
func copyID(zone zones.Name, primaries []Primary, more ...string) string {
	digest := sha256.New()
	for _, p := range primaries {
		fmt.Fprintln(digest, p.identity())
	}
	for _, text := range more {
		fmt.Fprintln(digest, text)
	}
	return zone.String() + "@" + hex.EncodeToString(digest.Sum(nil)[:6])
}

// finishCopies lists the copies, and warns where they do not outlive the program.
func (l *loader) finishCopies() {
	var first Place
	for _, id := range slices.Sorted(maps.Keys(l.copies)) {
		slices.Sort(l.copies[id].Networks)
		l.config.Copies = append(l.config.Copies, *l.copies[id])
		first = cmp.Or(first, l.copyPlaces[id])
	}
	if first != (Place{}) && l.config.Secondary.State == "" && !l.anywhere && !l.own {
		l.rep.warn(first, faultf(fmt.Sprintf("add [secondary] with state = %q, a folder that this user can write", exampleZones),
			"copies of zones are kept in memory alone: after a restart they are answered from their first transfer on, and not before"))
	}
}

// transferDraft says who may take a zone, as the files say it.
type transferDraft struct {
	place  Place // zero where nothing is said
	to     []netip.Prefix
	notify []netip.AddrPort
	tsig   entry // names the key; empty for none
	key    *Key
	given  bool // whether one of those who may take the zone is a client of a network that has it
}

// transfer reads who may take a zone.
func (l *loader) transfer(t table, into *transferDraft) {
	if text, given := t.text("transfer_tsig", exampleKey); given {
		into.tsig = entry{text, t.place("transfer_tsig")}
	}
	if !t.has("transfer") {
		return
	}
	into.place = t.place("transfer")
	entries, _ := t.texts("transfer", "10.30.0.4")
	for _, e := range entries {
		prefix, notify, f := parseSecondary(e.text)
		if f == nil && slices.Contains(into.to, prefix) {
			f = alreadyFault(e.text)
		}
		if f != nil {
			l.rep.add(e.place, f)
			continue
		}
		into.to = append(into.to, prefix)
		if notify.IsValid() {
			into.notify = append(into.notify, notify)
		}
	}
}

// parseSecondary reads who may take a zone: a prefix, or a server, which is told of
// changes as well, at another port than 53 where it says one.
func parseSecondary(text string) (netip.Prefix, netip.AddrPort, *fault) {
	if socket, err := netip.ParseAddrPort(text); err == nil {
		addr := socket.Addr()
		f := remoteAddrFault(socket)
		if f == nil {
			f = spellingFault(addr)
		}
		return netip.PrefixFrom(addr, addr.BitLen()), socket, f
	}
	prefix, f := parsePrefix(text)
	if f != nil || !prefix.IsSingleIP() {
		return prefix, netip.AddrPort{}, f
	}
	socket := netip.AddrPortFrom(prefix.Addr(), portDNS)
	return prefix, socket, remoteAddrFault(socket)
}

// give enters who may take a zone as a network has it: of those who may, its clients.
func (l *loader) give(d *transferDraft, network *networkDraft, spec zones.ZoneSpec) {
	if d == nil {
		return
	}
	t := Transfer{Network: strings.Clone(network.Name), Zone: spec.Name.Clone(), Copy: spec.Copy, Key: d.key}
	for _, prefix := range d.to {
		if network.mayHave(prefix) {
			t.To = append(t.To, prefix)
		}
	}
	for _, told := range d.notify {
		if network.mayHave(netip.PrefixFrom(told.Addr(), told.Addr().BitLen())) {
			t.Notify = append(t.Notify, told)
		}
	}
	if len(t.To) > 0 {
		d.given = true
		l.config.Transfers = append(l.config.Transfers, t)
	}
}

// mayHave tells whether clients in a prefix may be those of the network.
func (d *networkDraft) mayHave(prefix netip.Prefix) bool {
	return len(d.Clients) == 0 || d.Azure != nil && d.Azure.Clients || slices.ContainsFunc(d.Clients, prefix.Overlaps)
}

// warnOfTransfers reports zones that nobody can take, because who may is no client of a
// network that has them.
func (l *loader) warnOfTransfers() {
	all := []zoneDrafts{l.shared}
	for _, name := range slices.Sorted(maps.Keys(l.drafts)) {
		all = append(all, l.drafts[name].zones)
	}
	for _, drafts := range all {
		for _, zone := range slices.SortedFunc(maps.Keys(drafts), zones.Name.Compare) {
			if d := drafts[zone].transfer; len(d.to) > 0 && !d.given && len(l.drafts) > 0 && !l.anywhere {
				l.rep.warn(d.place, faultf("add them to the clients of the network as which they are to take it",
					"none of those who may take the zone is a client of a network that has it"))
			}
		}
	}
}

// finishTransfer finds the key of who may take a zone, and warns where there is none.
func (l *loader) finishTransfer(d *transferDraft) {
	if d.tsig.text != "" {
		if d.place == (Place{}) {
			l.rep.add(d.tsig.place, &fault{"nobody may take the zone, who would sign", "add transfer, or remove it"})
		}
		if key := l.keyNamed(d.tsig); key != nil {
			d.key = &key.Key
		}
		return
	}
	if d.place == (Place{}) || len(d.to) == 0 {
		return
	}
	remedy := fmt.Sprintf("add transfer_tsig = %q, a key of [tsig], and write it on both servers", "site.copy")
	if slices.ContainsFunc(d.to, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
		l.rep.add(d.place, faultf(remedy, "would let everybody read the zone"))
		return
	}
	l.rep.warn(d.place, faultf(remedy, "whoever has one of these addresses reads the whole zone, and so does who makes it out to be his"))
}
