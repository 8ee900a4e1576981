package forward

import (
	"time"

	"pldns/resolver/forward/share"
)

// ServerState is what is known of one server, for operators.
type ServerState struct {
	Server    string // as its operator wrote it
	Transport Transport
	Healthy   bool
	Since     time.Time     // when it became unhealthy; zero while it is healthy
	Looping   bool          // it leads back to this program and is not asked
	RTT       time.Duration // smoothed; 0 as long as nothing is known
	Failures  float64       // the share of failed queries, recent ones weighing most
	InFlight  int           // queries that wait for a reply
	// LoopSuffixes are the suffixes whose names it leads back to this program.
	LoopSuffixes []string
	// Without is what the server is asked without for a while, because the servers
	// of several unrelated names could not do it and none could: "edns", "0x20",
	// "cookie".
	Without []string
	// Exceptions is for how many domains alone it is asked without something.
	Exceptions int
}

// State is what is known of the servers, in the order of the configuration.
func (p *Pool) State() []ServerState {
	now := time.Now()
	states := make([]ServerState, len(p.servers))
	for i, s := range p.servers {
		healthy, _, _ := s.health.healthy()
		rtt, bad := s.health.figures()
		states[i] = ServerState{
			Server: s.Text, Transport: s.Transport, Healthy: healthy, Since: s.health.downSince(), Looping: s.looping(),
			RTT: rtt, Failures: bad, InFlight: int(s.inFlight.Load()),
		}
		states[i].LoopSuffixes = sorted(s.loops.all())
		states[i].Without, states[i].Exceptions = s.learned.state(now)
	}
	return states
}

// UnderWay is how many questions the group has under way, and how many queries wait for
// a reply of each server.
func (p *Pool) UnderWay() (questions int, queries map[string]int) {
	queries = make(map[string]int, len(p.servers))
	for _, s := range p.servers {
		queries[s.Text] += int(s.inFlight.Load())
	}
	return p.inFlight.Held(), queries
}

// Load is how much a group has under way, for operators, and who has most of it.
type Load struct {
	InFlight int // questions under way
	Capacity int // how many there may be
	Queued   int // questions that wait for their turn, where MaxQPS is a limit
	Shed     int // questions that had to make room, or were not asked, ever
	// Limited are those whose questions had to make room lately, the most first:
	// networks, clients and domains.
	Limited []share.Usage
}

// limitedShown is how many networks, clients and domains each are shown.
const limitedShown = 3

// Load is how much is under way now.
func (p *Pool) Load() Load {
	now := time.Now()
	view := p.inFlight.Top(limitedShown, now)
	load := Load{InFlight: view.Held, Capacity: view.Capacity, Shed: int(p.shedCount.Load())}
	load.limited(view)
	if p.queue != nil {
		view := p.queue.Top(limitedShown, now)
		load.Queued = view.Held
		load.limited(view)
	}
	return load
}

// limited adds those that had to make room.
func (l *Load) limited(view share.View) {
	for _, kind := range [][]share.Usage{view.Suffixes, view.Clients, view.Networks} {
		for _, usage := range kind {
			if usage.GaveWay > 0 {
				l.Limited = append(l.Limited, usage)
			}
		}
	}
}
