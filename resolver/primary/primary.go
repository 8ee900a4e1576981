package primary

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/tsig"
	"pldns/zones"
	"pldns/zones/content"
)

// Zone is one that other servers may take, as one network sees it.
type Zone struct {
	Network string
	Name    zones.Name
	// Copy is the id of the copy that the zone is; empty for one that is made of what the
	// network has in it.
	Copy string
	// Peers are who may take it, of the clients of the network.
	Peers []netip.Prefix
	// Key is what they have to sign with; nil lets them take it unsigned.
	Key *tsig.Key
	// Tell are those who are told that it has changed, of this key too.
	Tell []netip.AddrPort
}

// id tells zones apart.
type id struct {
	network string
	zone    zones.Name
}

func (z *Zone) id() id { return id{z.Network, z.Name} }

// Options are what a [Server] is made of. The zero Options have a default for each.
type Options struct {
	// Dir is where the serials of made zones are kept, in a file of their own. Empty keeps none.
	Dir string
	// Replace puts what write writes in the place of a file, as a whole or not at all. It is
	// needed where there is a Dir.
	Replace func(path string, mode os.FileMode, write func(*os.File) error) error
	// Log is told of what an operator may want to know. Nil is nowhere.
	Log *slog.Logger
	// FirstWait is how long the reply to the first NOTIFY is waited for; each further one is
	// given twice as long. Default 5 s.
	FirstWait time.Duration
}

// Server gives zones to other servers. Its methods may be called by any number of goroutines.
type Server struct {
	options Options
	serials serials
	notices notices
	wake    chan struct{} // told when there is something to be made

	mu       sync.RWMutex
	zones    map[id]*held
	networks map[string]*network
	copies   map[string]content.Copy
}

// network is what is known of a network some of whose zones are given.
type network struct {
	zones *zones.Network
	peers []netip.Prefix // who may take any of its zones
	has   map[zones.Name]bool
}

// held is a zone, and what there is of it. All of it is under the lock of the server, but what it
// points to never changes.
type held struct {
	Zone
	from    source
	content *content.Zone // nil while there is none
	changed time.Time     // when content did last
	journal journal
	fault   error // why there is none, or no newer one

	whole, changes uint64 // transfers
}

// source is what content is made of. It is comparable.
type source struct {
	network *zones.Network // of a made zone
	copy    *content.Zone
}

// New makes a server that holds nothing. What it is to hold, [Server.Hold] says, and
// [Server.Run] makes it.
func New(o Options) *Server {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	o.FirstWait = cmp.Or(o.FirstWait, 5*time.Second)
	s := &Server{options: o, wake: make(chan struct{}, 1), zones: make(map[id]*held)}
	s.serials.open(o)
	s.notices.open(o)
	return s
}

// Hold says which zones may be taken from here on, and of what they are: of a table, and of copies
// by their ids. What is the same as before stays as it is, with its changes; who may not take a zone
// any more, may not at once. A network that the table does not have has no zones.
func (s *Server) Hold(table *zones.Table, list []Zone, copies map[string]content.Copy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.zones
	s.zones, s.networks, s.copies = make(map[id]*held, len(list)), make(map[string]*network), copies
	for _, z := range list {
		in := s.networks[z.Network]
		if in == nil {
			known, is := table.Network(z.Network)
			if !is {
				continue
			}
			in = &network{zones: known, has: make(map[zones.Name]bool)}
			for _, zone := range known.Zones() {
				in.has[zone.Name] = true
			}
			s.networks[z.Network] = in
		}
		in.has[z.Name] = true
		for _, prefix := range z.Peers {
			if !slices.Contains(in.peers, prefix) {
				in.peers = append(in.peers, prefix)
			}
		}
		h := before[z.id()]
		if h == nil || h.Copy != z.Copy {
			h = new(held)
		}
		h.Zone = z
		s.zones[z.id()] = h
	}
	s.stir()
}

// Copies says what is held of copies from here on, where nothing else has changed.
func (s *Server) Copies(copies map[string]content.Copy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.copies = copies
	s.stir()
}

// stir has Run look for what is to be made.
func (s *Server) stir() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run makes the content of zones when what it is made of has changed, and tells others, until ctx
// ends. It is called once; the error is nil.
func (s *Server) Run(ctx context.Context) error {
	defer s.notices.wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		}
		for ctx.Err() == nil && s.renewOne() {
		}
		s.serials.save()
		s.tell(ctx)
	}
}

// sourceOf is what a zone is to be made of; none while there is no copy of it.
func (s *Server) sourceOf(h *held) source {
	if h.Copy != "" {
		return source{copy: s.copies[h.Copy].Zone}
	}
	return source{network: s.networks[h.Network].zones}
}

// job is a zone whose source is not the one that it is made of.
type job struct {
	held *held
	Zone
	from source
	old  *content.Zone
}

// stale finds one.
func (s *Server) stale() (job, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, h := range s.zones {
		if from := s.sourceOf(h); from != h.from && from != (source{}) {
			return job{h, h.Zone, from, h.content}, true
		}
	}
	return job{}, false
}

// renewOne makes the content of one zone whose source has changed; false if there is none.
func (s *Server) renewOne() bool {
	j, found := s.stale()
	if !found {
		return false
	}
	made, delta, err := s.renew(&j)
	s.mu.Lock()
	defer s.mu.Unlock()
	h := j.held
	h.from, h.fault = j.from, err
	switch {
	case err != nil:
		s.options.Log.Warn("a zone cannot be given to other servers", "zone", j.Name, "network", j.Network, "error", err)
	case made != j.old:
		h.content, h.changed = made, time.Now()
		h.journal.add(delta, made)
	}
	return true
}

// renew makes the content of a zone, and tells what has changed; nil where that is not known. It
// gives the old content where nothing has.
func (s *Server) renew(j *job) (*content.Zone, *content.Change, error) {
	if next := j.from.copy; next != nil {
		if j.old == nil || !content.IsNewer(next.Serial(), j.old.Serial()) {
			return next, nil, nil
		}
		delta := content.Diff(j.old, next)
		return next, &delta, nil
	}
	if j.old == nil {
		return s.begin(j)
	}
	made, err := Make(j.from.network, j.Name, j.old.Serial())
	if err != nil {
		return nil, nil, err
	}
	delta := content.Diff(j.old, made)
	if len(delta.Removed)+len(delta.Added) == 0 {
		return j.old, nil, nil
	}
	delta.From, delta.To = j.old.SOA(), numbered(made.SOA(), Serial(j.old.Serial(), time.Now()))
	if made, err = j.old.Apply(delta); err != nil {
		return nil, nil, err
	}
	s.serials.put(j.id(), made)
	return made, &delta, nil
}

// begin makes a zone for the first time, with the serial that it had before a restart if it is the
// same.
func (s *Server) begin(j *job) (*content.Zone, *content.Change, error) {
	now := time.Now()
	made, err := Make(j.from.network, j.Name, s.serials.before(j.id(), now))
	if err != nil {
		return nil, nil, err
	}
	serial := s.serials.first(j.id(), made, now)
	made, err = made.Apply(content.Change{From: made.SOA(), To: numbered(made.SOA(), serial)})
	return made, nil, err
}

func numbered(soa *dns.SOA, serial uint32) *dns.SOA {
	next := *soa
	next.Serial = serial
	return &next
}

// State is a zone as a page shows it.
type State struct {
	Network string
	Zone    zones.Name
	Made    bool // of endpoints and records; else it is a copy
	// Serial and Records are those of the content; 0 while there is none, and Changed is when it
	// last did.
	Serial  uint32
	Records int
	Changed time.Time
	Fault   string // why there is none, or no newer one; empty for no reason
	// Kept is how many of its last changes can be given alone.
	Kept int
	// Whole and Changes are how many transfers have begun, of all of it and of what has changed.
	Whole, Changes uint64
	// Told are those who are told of changes.
	Told []Told
}

// States are the zones, ordered by network and name.
func (s *Server) States() []State {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []State
	for of, h := range s.zones {
		state := State{
			Network: h.Network, Zone: h.Name, Made: h.Copy == "", Changed: h.changed, Kept: len(h.journal.changes),
			Whole: h.whole, Changes: h.changes, Told: s.notices.states(of, h.Tell),
		}
		if h.content != nil {
			state.Serial, state.Records = h.content.Serial(), h.content.Len()
		}
		switch {
		case h.fault != nil:
			state.Fault = h.fault.Error()
		case h.Copy != "" && h.content == nil:
			state.Fault = "there is no copy of it yet"
		case h.Copy != "" && s.copies[h.Copy].Expired:
			state.Fault = "the copy has expired"
		}
		all = append(all, state)
	}
	slices.SortFunc(all, func(a, b State) int { return cmp.Or(cmp.Compare(a.Network, b.Network), a.Zone.Compare(b.Zone)) })
	return all
}

// Content is what others would be given of a zone; false where the server does not hold it.
func (s *Server) Content(network string, zone zones.Name) (*content.Zone, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	h := s.zones[id{network, zone}]
	if h == nil || h.content == nil {
		return nil, false
	}
	return h.content, true
}
