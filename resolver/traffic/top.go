package traffic

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/listen"
	"pldns/resolver/wire"
)

// Kind is what a list is of.
type Kind uint8

// The kinds of lists.
const (
	TopNames    Kind = iota // names, by queries for them
	TopClients              // clients, by their queries
	TopNXDomain             // names that do not exist, by queries for them
	TopSlow                 // names, by the time that clients waited for them
	kinds
)

// Kinds are all kinds.
func Kinds() []Kind { return []Kind{TopNames, TopClients, TopNXDomain, TopSlow} }

// String is the word of the kind for programs.
func (k Kind) String() string { return [...]string{"names", "clients", "nxdomain", "slow"}[k] }

// ParseKind is the kind of a word.
func ParseKind(word string) (Kind, bool) {
	at := slices.IndexFunc(Kinds(), func(k Kind) bool { return k.String() == word })
	return Kind(max(at, 0)), at >= 0
}

// size is how many entries a list works with; fewer are shown.
func (k Kind) size() int { return [...]int{1024, 512, 1024, 512}[k] }

const (
	// slowFrom is how long an answer takes at least to be slow.
	slowFrom = 20 * time.Millisecond
	// samples is how many queries a second are looked at more closely, about, while
	// there are more.
	samples = 4000
	// earlierEntries is what is kept of a list whose hour is over.
	earlierEntries = 64
)

// Entry is somebody or something of a list.
type Entry struct {
	Name string
	// Count is how often it came at most, or for TopSlow for how many milliseconds it was
	// waited for, and Least how often at the least, both but for the sample.
	Count, Least uint64
}

// lists are those of one network: of the hour that goes on and of the one before.
type lists struct {
	mu      sync.Mutex
	now     [kinds]sketch
	earlier [kinds][]entry // the first ones only, the most frequent first
}

// Wants is the sample that is drawn of all queries, so that what it costs stays the same
// however many there are: all of them as long as they are few.
func (t *Traffic) Wants() listen.Wants {
	if t.unlisted.Load() {
		return listen.Wants{}
	}
	return listen.Wants{Remembered: t.sample.Load()}
}

// List says whether lists are kept, which they are at first. Those that are there are
// forgotten if not. The tap may want something else then.
func (t *Traffic) List(on bool) {
	t.unlisted.Store(!on)
	if on {
		return
	}
	for _, n := range *t.networks.Load() {
		n.lists.drop(&t.spare)
	}
}

// resample draws as many queries as can be afforded. It tells whether that changes.
func (t *Traffic) resample(total uint64, passed time.Duration) bool {
	fitting := uint32(1)
	for float64(total)/passed.Seconds() > samples*float64(fitting) && fitting < 1<<16 {
		fitting *= 2
	}
	before := t.sample.Load()
	if fitting > before || fitting < before/2 { // not back and forth at an edge
		t.sample.Store(fitting)
		return true
	}
	return false
}

// Exchanged counts a query that was refused, and looks at it more closely if it is drawn.
func (t *Traffic) Exchanged(e *listen.Exchange) {
	if e.Why != listen.Accepted {
		t.refused(e)
	}
	weight := t.sample.Load()
	if !e.Drawn(weight) || t.unlisted.Load() {
		return
	}
	t.network(e.Answer.Network).lists.add(e, uint64(weight), &t.spare)
	if t.drawn.Add(1) == samples+1 {
		select {
		case t.crowded <- struct{}{}:
		default: // it was said already
		}
	}
}

// maxName is how many octets a name has at most (RFC 1035 section 2.3.4).
const maxName = 255

// add counts a query that stands for so many. If it would have to wait for another one it
// is left out: that costs a list less than it costs a client.
func (l *lists) add(e *listen.Exchange, weight uint64, from *spare) {
	if !l.mu.TryLock() {
		return
	}
	defer l.mu.Unlock()
	if client := e.Query.Client.Addr; client.IsValid() {
		key := client.As16()
		l.of(TopClients).add(key[:], weight, from)
	}
	const typeAndClass = 4
	length := len(e.Question) - typeAndClass
	if length <= 0 || length > maxName {
		return
	}
	var room [maxName]byte
	name := room[:copy(room[:], e.Question[:length])]
	wire.Lower(name)
	l.of(TopNames).add(name, weight, from)
	if e.Answer.Rcode == dns.RcodeNameError {
		l.of(TopNXDomain).add(name, weight, from)
	}
	if e.Took >= slowFrom {
		l.of(TopSlow).add(name, weight*uint64(e.Took/time.Millisecond), from)
	}
}

// of is the sketch of a kind.
func (l *lists) of(kind Kind) *sketch {
	s := &l.now[kind]
	if s.known == nil {
		*s = newSketch(kind.size())
	}
	return s
}

// turn ends the hour.
func (l *lists) turn(to *spare) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for kind := range l.now {
		l.earlier[kind] = most(copied(&l.now[kind]), earlierEntries)
		l.now[kind].drop(to)
	}
}

// drop forgets everything.
func (l *lists) drop(to *spare) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for kind := range l.now {
		l.now[kind].drop(to)
		l.now[kind], l.earlier[kind] = sketch{}, nil
	}
}

// copied are the entries of a sketch as they are now.
func copied(s *sketch) []entry {
	all := make([]entry, len(s.entries))
	for i, e := range s.entries {
		all[i] = *e
	}
	return all
}

// most are the most frequent of some entries.
func most(all []entry, limit int) []entry {
	slices.SortFunc(all, func(a, b entry) int { return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.key, b.key)) })
	return slices.Clone(all[:min(limit, len(all))])
}

// Top is the list of a kind for a network, the most frequent first, and since when it
// counts: the beginning of the hour before. It is empty for a network that is not known.
func (t *Traffic) Top(name string, kind Kind, limit int) (top []Entry, since time.Time) {
	now := t.config.Now()
	t.mu.Lock()
	since = now.Round(0).Add(-now.Sub(t.earlier))
	t.mu.Unlock()
	n := (*t.networks.Load())[name]
	if n == nil || t.unlisted.Load() {
		return nil, since
	}
	for _, e := range most(n.lists.both(kind), limit) {
		top = append(top, Entry{Name: text(e.key, kind), Count: e.count, Least: e.count - e.over})
	}
	return top, since
}

// both is the list of both hours together.
func (l *lists) both(kind Kind) []entry {
	l.mu.Lock()
	all, earlier := copied(&l.now[kind]), l.earlier[kind]
	l.mu.Unlock()
	at := make(map[string]int, len(all))
	for i, e := range all {
		at[e.key] = i
	}
	for _, e := range earlier {
		if i, known := at[e.key]; known {
			all[i].count += e.count
			all[i].over += e.over
		} else {
			all = append(all, e)
		}
	}
	return all
}

// text is a key as people read it.
func text(key string, kind Kind) string {
	if kind == TopClients {
		addr, _ := netip.AddrFromSlice([]byte(key))
		return addr.Unmap().String()
	}
	name, ok := wire.Name(bytes.Clone([]byte(key)), 0)
	if !ok {
		return "?"
	}
	return name.String()
}
