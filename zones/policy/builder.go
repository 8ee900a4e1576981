package policy

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
)

// Format is the form of a file.
type Format uint8

// The forms.
const (
	ByContent Format = iota // told by the first line that is no comment
	RPZ                     // a response policy zone, as a master file (RFC 1035 section 5)
	List                    // hosts(5), domains, or filters of AdGuard
)

// ParseFormat is the form for "rpz" or "list"; false for any other text.
func ParseFormat(text string) (Format, bool) {
	switch text {
	case "rpz":
		return RPZ, true
	case "list":
		return List, true
	}
	return ByContent, false
}

// Found is what a file has.
type Found struct {
	Entries int // that were not there before
	// Skipped is what was left out, most frequent first.
	Skipped []Skipped
}

// Skipped is what was left out for one reason.
type Skipped struct {
	Why     string
	Count   int
	Line    int    // of the first; 0 where it is not known
	Example string // the first, cut to a bearable length
}

// String is all of it in words.
func (s Skipped) String() string {
	at := ""
	if s.Line > 0 {
		at = fmt.Sprintf("line %d, ", s.Line)
	}
	return fmt.Sprintf("%s: %d (%s%q)", s.Why, s.Count, at, s.Example)
}

// Builder collects the entries of a policy, of any number of files. It is for one goroutine.
type Builder struct {
	entries, except *table
	zone            zones.Name
	ttl             uint32
}

// NewBuilder makes one that has no entries.
func NewBuilder() *Builder {
	return &Builder{entries: newTable(), except: newTable(), ttl: DefaultTTL}
}

// longestLine is how many octets a line of a list may have.
const longestLine = 64 << 10

// Read adds the entries of a file. The zone is the name of a response policy zone, below
// which its entries are; the zero Name stands for the owner of its SOA record. Of two entries
// for the same name, the first counts. The error says in which line the file is none of its
// form, or why it cannot be read; what was read before stays.
func (b *Builder) Read(file io.Reader, format Format, zone zones.Name) (Found, error) {
	reader := bufio.NewReaderSize(file, longestLine)
	if format == ByContent {
		format = List
		start, err := reader.Peek(longestLine)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return Found{}, err
		}
		if looksLikeZone(start) {
			format = RPZ
		}
	}
	before := b.entries.count + b.except.count
	left := make(leftOut)
	var err error
	if format == RPZ {
		err = b.readZone(reader, zone, left)
	} else {
		err = b.readList(reader, left)
	}
	return Found{Entries: b.entries.count + b.except.count - before, Skipped: left.sorted()}, err
}

// Add adds the entries of a response policy zone, given by its records in any order. It is an
// error if there are more than a policy can have.
func (b *Builder) Add(zone zones.Name, records iter.Seq[dns.RR]) (Found, error) {
	before := b.entries.count + b.except.count
	z := zoneReader{Builder: b, origin: zone, left: make(leftOut)}
	for rr := range records {
		if dns.Len(rr) <= dns.Len(rr.Header()) { // in a file a line that is not complete
			z.left.add(whyType, 0, rr.Header().Name)
			continue
		}
		if err := z.record(rr); err != nil {
			return Found{}, err
		}
	}
	return Found{Entries: b.entries.count + b.except.count - before, Skipped: z.left.sorted()}, nil
}

// looksLikeZone tells a master file from a list by the first line that is no comment.
func looksLikeZone(start []byte) bool {
	for line := range bytes.Lines(start) {
		text := strings.TrimSpace(strings.TrimPrefix(string(line), "\ufeff"))
		switch {
		case text == "":
			continue
		case text[0] == ';' || text[0] == '$':
			return true
		case text[0] == '#' || text[0] == '!':
			continue // of a list, as a rule; a master file has no such comments
		}
		return slices.ContainsFunc(strings.Fields(text), func(word string) bool {
			word = strings.ToUpper(word)
			return word == "SOA" || word == "CNAME" || word == "IN"
		})
	}
	return false
}

// Build makes the policy. The builder is not used any more.
func (b *Builder) Build(options Options) *Policy {
	b.entries.seal()
	b.except.seal()
	p := &Policy{
		name: options.Name, code: cmp.Or(options.Code, dns.ExtendedErrorCodeBlocked), entries: b.entries, except: b.except,
		zone: b.zone, ttl: min(b.ttl, MaxTTL),
	}
	switch {
	case len(options.Addresses) > 0:
		p.override = addressRule(options.Addresses)
	case options.Action != Given:
		p.override = &Rule{Action: options.Action}
	}
	return p
}

// leftOut is what was left out, by reason.
type leftOut map[string]*Skipped

// maxExample is how many octets of what is left out are told.
const maxExample = 80

func (l leftOut) add(why string, line int, example string) {
	if known := l[why]; known != nil {
		known.Count++
		return
	}
	if len(example) > maxExample {
		example = example[:maxExample] + "..."
	}
	l[why] = &Skipped{Why: why, Count: 1, Line: line, Example: strings.Clone(example)}
}

func (l leftOut) sorted() (all []Skipped) {
	for _, s := range l {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Skipped) int { return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Why, b.Why)) })
	return all
}
