package forward

import (
	"time"

	"pldns/resolver/forward/share"
)

// ServerState is what is known of one server, for operators.
type ServerState struct {
	Server    string    `json:"server"` // as its operator wrote it
	Transport Transport `json:"transport"`
	Healthy   bool      `json:"healthy"`
	// UnhealthySince is when it became unhealthy, or was found to lead back here; zero
	// while it is healthy.
	UnhealthySince time.Time `json:"unhealthy_since,omitzero"`
	// Reason is why it became unhealthy; empty while it is healthy.
	Reason  string `json:"reason,omitempty"`
	Looping bool   `json:"looping"` // it leads back to this program and is not asked
	// LoopSuffixes are the suffixes whose names it leads back; it is not asked for them.
	LoopSuffixes []string `json:"loop_suffixes,omitempty"`
	RTT          float64  `json:"rtt_seconds"` // smoothed; 0 as long as nothing is known
	Failures     float64  `json:"failures"`    // the share of failed queries, recent ones weighing most
	InFlight     int      `json:"in_flight"`   // queries that wait for a reply
	// Without is what the server is asked without for a minute, because several
	// unrelated names could not be asked with it: "edns", "0x20", "cookie".
	Without []string `json:"without,omitempty"`
	// Exceptions is for how many domains alone it is asked without something.
	Exceptions int `json:"exceptions,omitempty"`
}

// State is what is known of the servers, in the order of the configuration.
func (p *Pool) State() []ServerState {
	now := time.Now()
	states := make([]ServerState, len(p.servers))
	for i, s := range p.servers {
		healthy, _, _ := s.health.healthy()
		rtt, bad := s.health.figures()
		states[i] = ServerState{
			Server: s.Text, Transport: s.Transport, Healthy: healthy, UnhealthySince: s.health.downSince(), Looping: s.looping(),
			RTT: rtt.Seconds(), Failures: bad, InFlight: int(s.inFlight.Load()),
		}
		if why := s.why.Load(); !healthy && why != nil {
			states[i].Reason = *why
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
	InFlight int `json:"in_flight"` // questions under way
	Capacity int `json:"capacity"`  // how many there may be
	Queued   int `json:"queued"`    // questions that wait for their turn, where MaxQPS is a limit
	Shed     int `json:"shed"`      // questions that had to make room, or were not asked, ever
	// Limited are those whose questions had to make room lately, the most first:
	// networks, clients and domains.
	Limited []share.Usage `json:"limited,omitempty"`
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
