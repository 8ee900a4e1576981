package azureimport

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"pldns/zones"
	"pldns/zones/azure"
)

// Options say how exports are read.
type Options struct {
	// Pending takes endpoints whose connection waits for approval, too. Azure has
	// given them an address already. Those that are rejected or disconnected are
	// left out in any case.
	Pending bool
	// Origin is the zone that relative names of a zone file belong to, until the
	// file says $ORIGIN; the zero Name is none.
	Origin zones.Name
	// Progress is told how many resources or records of a file are read, after
	// each; nil means nobody is.
	Progress func(file string, read int)
}

// Export is what a number of exported files say together. It is not safe for
// concurrent use.
type Export struct {
	options   Options
	limits    limits
	catalogue *azure.Catalogue
	entries   []azure.Entry        // of the catalogue
	endpoints map[string]*endpoint // by key
	nics      map[string]string    // the key of the endpoint that names a network interface, by the id of that
	aliases   []alias
	notes     []string
	noted     map[string]bool
	known     int // resources of the present file that were of use
	strange   int // and those of another type
}

// NewExport makes an export that nothing has been read into.
func NewExport(options Options) *Export { return newExport(options, azure.New()) }

func newExport(options Options, catalogue *azure.Catalogue) *Export {
	return &Export{
		options: options, limits: standardLimits(), catalogue: catalogue, entries: catalogue.Entries(),
		endpoints: make(map[string]*endpoint), nics: make(map[string]string), noted: make(map[string]bool),
	}
}

// trust is how much a source of names is relied on, the most trusted first.
type trust int

const (
	byNIC    trust = iota // the network interface: public names
	byGroup               // the DNS zone group, or a record: private names
	byCustom              // customDnsConfigs of the endpoint
	trusts
)

// endpoint is a private endpoint as far as the files tell, or another source of
// names: a record set, an owner in a zone file, a name in a hosts file.
type endpoint struct {
	id       string // as Azure writes it; empty for what is no resource
	label    string // what stands in comments
	file     string // where it was first seen
	subnet   string // id
	location string
	isPE     bool // whether the endpoint itself was seen, and not only what belongs to it
	links    []link
	facts    [trusts][]fact
	loose    []netip.Addr // addresses that come without a name
	first    []netip.Addr // addresses of which only the first is told
	creator  string       // of a record set: the endpoint that wrote it
	record   string       // and its own id, for messages
}

// link is a connection of an endpoint to a resource.
type link struct {
	target string // id of the resource
	groups []string
	status string // empty where the export does not tell
}

// fact is a name with an address, from one source.
type fact struct {
	name zones.Name
	addr netip.Addr
}

// alias is a CNAME record.
type alias struct {
	name, target zones.Name
	source       *endpoint
}

// endpoint gives what is known under a key, made when it is first seen.
func (e *Export) endpoint(key, file string) *endpoint {
	key = strings.ToLower(key)
	if e.endpoints[key] == nil {
		e.endpoints[key] = &endpoint{file: file}
	}
	return e.endpoints[key]
}

// resource gives the endpoint with a resource id.
func (e *Export) resource(id, file string) *endpoint {
	at := e.endpoint(id, file)
	if at.id == "" {
		at.id, at.label = id, labelOf(id, "privateEndpoints")
	}
	return at
}

// serial is a key for the resource that is read, where it has no id.
func (e *Export) serial(file string) string {
	return fmt.Sprintf("resource %d of %s", e.known+e.strange, file)
}

// labelOf is a resource in a comment: its resource group and its name.
func labelOf(id, collection string) string {
	name, group := part(id, collection), part(id, "resourceGroups")
	switch {
	case name == "":
		return plain(id[strings.LastIndexByte(id, '/')+1:])
	case group == "":
		return plain(name)
	}
	return plain(group + "/" + name)
}

// where names a source in a message about a conflict.
func (p *endpoint) where() string {
	if id := p.id + p.record; id != "" {
		return fmt.Sprintf("%s of %s", plain(id), p.file)
	}
	if p.label == plain(p.file) {
		return p.label
	}
	return fmt.Sprintf("%s of %s", p.label, p.file)
}

// say adds a fact. What is no host name is noted, and left out.
func (e *Export) say(p *endpoint, by trust, text string, addrs ...netip.Addr) {
	if text == "" {
		p.addLoose(addrs...)
		return
	}
	name, ok := hostName(text)
	if !ok {
		e.note("%s: %q is no host name: left out", p.label, plain(text))
		return
	}
	for _, addr := range addrs {
		if len(p.facts[by]) >= maxFacts {
			e.note("%s: it has more than %d names and addresses: the others are left out", p.label, maxFacts)
			return
		}
		if f := (fact{name, addr}); !slices.Contains(p.facts[by], f) {
			p.facts[by] = append(p.facts[by], f)
		}
	}
}

// maxFacts is how much one source may say. Azure's largest endpoints have some
// dozens of names.
const maxFacts = 2000

// addLoose adds addresses that come without a name.
func (p *endpoint) addLoose(addrs ...netip.Addr) {
	for _, addr := range addrs {
		if len(p.loose) < maxFacts {
			p.loose = union(p.loose, addr)
		}
	}
}

// note tells the operator something, once.
func (e *Export) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !e.noted[text] {
		e.noted[text] = true
		e.notes = append(e.notes, text)
	}
}

// Notes are what the operator should know of what was read: what was left out and
// why. They are in a stable order.
func (e *Export) Notes() []string { return slices.Sorted(slices.Values(e.notes)) }

// Read reads an exported file of a kind. The name stands for it in messages. What
// was read before an error stays, so that an export with an error is of no use.
func (e *Export) Read(kind Kind, name string, r io.Reader) error {
	e.known, e.strange = 0, 0
	buffered := bufio.NewReaderSize(r, 64<<10)
	err := begin(kind, buffered)
	if err == nil {
		err = e.read(kind, name, buffered)
	}
	if err == nil && e.known == 0 && e.strange > 0 {
		err = fmt.Errorf("it holds no private endpoint, no network interface of one and no record set: "+
			"its %d resources are of other types", e.strange)
	}
	if err != nil {
		return fmt.Errorf("read %s as %s: %w", name, kind, err)
	}
	if e.known == 0 {
		e.note("%s holds no endpoint", name)
	}
	return nil
}

func (e *Export) read(kind Kind, name string, r *bufio.Reader) error {
	switch kind {
	case DNSZone:
		return e.readZoneFile(name, r)
	case Hosts:
		return e.readHosts(name, r)
	}
	j := newJSONReader(r, e.limits)
	switch kind {
	case Terraform:
		return e.readTerraform(name, j)
	case Graph:
		return e.readGraph(name, j)
	case ARM:
		return e.readARM(name, j)
	default:
		return e.readAZ(name, j)
	}
}

// progress counts a resource or record that was of use.
func (e *Export) progress(file string) {
	e.known++
	if e.options.Progress != nil {
		e.options.Progress(file, e.known)
	}
}
