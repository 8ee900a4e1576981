package azureimport

import (
	"bufio"
	"fmt"
	"hash/maphash"
	"io"
	"strings"

	"pldns/zones"
	"pldns/zones/azure"
)

// Options say how exports are read, and what of them counts.
type Options struct {
	// Pending takes endpoints whose connection waits for approval, too. Azure has
	// given them an address already. Those that are rejected or disconnected are
	// left out in any case.
	Pending bool
	// AssumeApproved takes network interfaces and DNS zone groups whose endpoint no
	// file holds, so that nothing reports whether its connection is approved.
	AssumeApproved bool
	// Origin is the zone that relative names of a zone file belong to, until the
	// file says $ORIGIN; the zero Name is none.
	Origin zones.Name
	// Progress is told how many resources or records of a file are read, after
	// each; nil means nobody is.
	Progress func(file string, read int)
	// Catalogue decides about names; nil means the one that is part of the program.
	Catalogue *azure.Catalogue
}

// Export is what a number of exported files say together: [Export.Read] reads them,
// [Export.Inventory] gives what they hold, [Export.Networks] and [Export.Compare]
// decide what follows. It is not safe for concurrent use.
type Export struct {
	options    Options
	limits     limits
	catalogue  *azure.Catalogue
	entries    []azure.Entry // of the catalogue
	seed       pageSeed
	inventory  Inventory
	index      index
	strangers  map[string]Interface // interfaces that do not tell what they are of, by id
	pages      []page
	references []reference
	lacking    gaps
	notes      notes
	known      int            // resources of the present file that were of use
	strange    int            // and those of another type
	types      map[string]int // of those, for the note
	read       int            // resources and records of all files
}

// NewExport makes an export that nothing has been read into.
func NewExport(options Options) *Export {
	catalogue := options.Catalogue
	if catalogue == nil {
		catalogue = azure.New()
	}
	return newExport(options, catalogue)
}

func newExport(options Options, catalogue *azure.Catalogue) *Export {
	return &Export{
		options: options, limits: standardLimits(), catalogue: catalogue, entries: catalogue.Entries(),
		seed: pageSeed{maphash.MakeSeed()}, index: newIndex(), strangers: make(map[string]Interface),
	}
}

// notes are what the operator should know, each once.
type notes struct {
	list []string
	seen map[string]bool
}

// add adds a note.
func (n *notes) add(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if n.seen == nil {
		n.seen = make(map[string]bool)
	}
	if !n.seen[text] {
		n.seen[text] = true
		n.list = append(n.list, text)
	}
}

// serial is a key for the resource that is read, where it has no id.
func (e *Export) serial(file string) string {
	return fmt.Sprintf("resource %d of %s", e.known+e.strange, file)
}

// Read reads an exported file of a kind, which may be compressed by gzip. The name
// stands for it in messages. What was read before an error stays, so that an export
// with an error is of no use.
func (e *Export) Read(kind Kind, name string, r io.Reader) error {
	e.known, e.strange, e.types = 0, 0, make(map[string]int)
	gaps := len(e.lacking.list)
	buffered, err := plainReader(r, e.limits)
	if err == nil {
		err = begin(kind, buffered)
	}
	if err == nil {
		err = e.readKind(kind, name, buffered)
	}
	if err == nil && e.known == 0 && e.strange > 0 && len(e.lacking.list) == gaps && len(e.references) == 0 {
		err = fmt.Errorf("it holds no private endpoint, no network interface of one and no record set: "+
			"its %d resources are of other types%s", e.strange, e.strangeTypes())
	}
	if err != nil {
		return fmt.Errorf("read %s as %s: %w", name, kind, err)
	}
	e.read += e.known + e.strange
	switch {
	case e.known == 0:
		e.lack(Gap{Reason: Empty, File: name}, "%s holds no endpoint", plain(name))
	case len(e.types) > 0:
		e.notes.add("%s: %d resources of other types are left out%s", plain(name), e.strange, e.strangeTypes())
	}
	return nil
}

func (e *Export) readKind(kind Kind, name string, r *bufio.Reader) error {
	switch kind {
	case DNSZone:
		return e.readZoneFile(name, r)
	case Hosts:
		return e.readHosts(name, r)
	case Windows:
		return e.readWindows(name, r)
	case Infoblox:
		return e.readInfoblox(name, r)
	case Dnsmasq:
		return e.readDnsmasq(name, r)
	case Unbound:
		return e.readUnbound(name, r)
	case CoreDNS:
		return e.readCoreDNS(name, r)
	}
	j := newJSONReader(r, e.limits)
	switch kind {
	case Terraform:
		return e.readTerraform(name, j)
	case Pulumi:
		return e.readPulumi(name, j)
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
