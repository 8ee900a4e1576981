package forward

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"pldns/zones"
)

// Policy is how a server is chosen among those that are healthy. Unhealthy
// servers come after all healthy ones whatever the policy, in the same order.
type Policy uint8

// The policies.
const (
	Ordered Policy = iota // the first, the others only when it fails
	Fastest               // the one that answers soonest; slow ones are tried again now and then
	Spread                // any of them, equally often
)

// String is the word used in the configuration file.
func (p Policy) String() string {
	return [...]string{"ordered", "fastest", "spread"}[p]
}

// order puts the servers in the order in which they are to be asked about a name, and
// leaves out those that lead it back to this program.
func (p *Pool) order(now time.Time, name zones.Name) []*server {
	if len(p.servers) == 1 && !p.servers[0].leadsBack(name) {
		return p.servers
	}
	ranked := make([]ranking, 0, len(p.servers))
	for _, s := range p.servers {
		if !s.leadsBack(name) {
			ranked = append(ranked, ranking{server: s, last: p.avoids(s, now)})
		}
	}
	switch p.config.Policy {
	case Fastest:
		for i := range ranked {
			ranked[i].score = ranked[i].server.health.score(now)
		}
	case Spread:
		rand.Shuffle(len(ranked), func(i, j int) { ranked[i], ranked[j] = ranked[j], ranked[i] })
	}
	slices.SortStableFunc(ranked, ranking.compare)
	servers := make([]*server, len(ranked))
	for i, r := range ranked {
		servers[i] = r.server
	}
	return servers
}

// ranking is what decides about the place of a server.
type ranking struct {
	server *server
	last   bool
	score  float64
}

func (r ranking) compare(other ranking) int {
	if r.last != other.last {
		if r.last {
			return 1
		}
		return -1
	}
	return cmp.Compare(r.score, other.score)
}

// avoids tells whether a server is to be asked after all others. While Run looks
// after an unhealthy server, its probes say when it is well; without Run the
// next question does, after a pause.
func (p *Pool) avoids(s *server, now time.Time) bool {
	healthy, again, _ := s.health.healthy()
	return !healthy && (p.running.Load() || now.Before(again))
}
