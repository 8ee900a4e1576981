package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Level says how bad a condition is.
type Level int

// The levels, from the best to the worst.
const (
	Serving  Level = iota // all is well
	Degraded              // everybody is answered, and somebody should look
	Failing               // some clients do not get what they ask for, or an operator not what they wrote
	Down                  // queries are not served
)

// String is the level as programs read it.
func (l Level) String() string { return [...]string{"serving", "degraded", "failing", "down"}[l] }

// Title is the level as people read it.
func (l Level) Title() string {
	return [...]string{"Serving, and all is well.", "Serving, with a warning:", "Failing:", "Not ready:"}[l]
}

// Colour is the level as the page shows it.
func (l Level) Colour() string { return [...]string{"good", "warn", "bad", "bad"}[l] }

// MarshalText writes the level into JSON. It never fails.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Condition is something that there is to say of how the program does.
type Condition struct {
	Level  Level     `json:"level"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since,omitzero"` // absent where it is not known
	Path   string    `json:"page,omitempty"` // the page that says more
}

// State is the worst of all conditions, and the others after it, the worst first.
type State struct {
	Condition
	Others []Condition `json:"others,omitempty"`
}

// reloadPatience is how long a reload may take before somebody should look.
const reloadPatience = time.Minute

// state answers /api/state with the [State].
func (s *Server) state(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.stateNow())
}

// stateNow is the state of the moment.
func (s *Server) stateNow() State {
	return stateOf(s.options.Status(), s.networks(), s.options.Upstreams(), s.sources(time.Now()), s.zones(time.Now()), time.Now())
}

// stateHeld is how long the state that every page shows may be old: to find it, all
// endpoints that are probed are looked at.
const stateHeld = time.Second

// heldState is the state as it was a moment ago.
type heldState struct {
	mu    sync.Mutex
	state State
	at    time.Time
}

// stateLately is the state of the moment, or of one shortly before.
func (s *Server) stateLately() State {
	s.held.mu.Lock()
	defer s.held.mu.Unlock()
	if s.held.at.IsZero() || time.Since(s.held.at) > stateHeld {
		s.held.state, s.held.at = s.stateNow(), time.Now()
	}
	return s.held.state
}

// stateOf finds the conditions of the moment.
func stateOf(status Status, networks []Network, upstreams []Upstream, sources []Source, zones Zones, now time.Time) State {
	var all []Condition
	if !status.Ready {
		down := Condition{Level: Down, Reason: cmp.Or(status.Reason, "queries are not served")}
		for _, silent := range status.Silent {
			down.Since = earlier(down.Since, silent.Since)
		}
		all = append(all, down)
	}
	all = append(all, ofUpstreams(upstreams)...)
	all = append(all, ofEndpoints(networks)...)
	all = append(all, ofCertificates(status.Certificates, now)...)
	all = append(all, ofSources(sources)...)
	all = append(all, ofZones(zones)...)
	all = append(all, ofStore(status.Store)...)
	all = append(all, ofConfiguration(status, now)...)
	if len(all) == 0 {
		return State{Condition: Condition{Level: Serving, Reason: "all is well", Since: status.Loaded}}
	}
	slices.SortStableFunc(all, func(a, b Condition) int { return cmp.Compare(b.Level, a.Level) })
	return State{all[0], all[1:]}
}

// ofUpstreams are the conditions of the upstream groups, whose servers stand together.
func ofUpstreams(upstreams []Upstream) (all []Condition) {
	for len(upstreams) > 0 {
		end := slices.IndexFunc(upstreams, func(u Upstream) bool { return u.Group != upstreams[0].Group })
		if end < 0 {
			end = len(upstreams)
		}
		all = append(all, ofGroup(upstreams[:end])...)
		upstreams = upstreams[end:]
	}
	return all
}

// ofGroup are the conditions of the servers of one group.
func ofGroup(servers []Upstream) (all []Condition) {
	var first, last time.Time // when a server of the group ceased to be asked
	group, out, why := servers[0].Group, 0, ""
	for _, u := range servers {
		loop := Condition{Level: Failing, Since: u.UnhealthySince, Path: "/upstreams"}
		switch {
		case u.Looping:
			loop.Reason = fmt.Sprintf("server %s of upstream %s forwards back to this program: name another server", u.Server, group)
			all = append(all, loop)
		case len(u.LoopSuffixes) > 0:
			loop.Reason = fmt.Sprintf("server %s of upstream %s forwards the names of %s back to "+
				"this program: remove its forwarder for them",
				u.Server, group, strings.Join(u.LoopSuffixes, ", "))
			all = append(all, loop)
		}
		if u.Looping || !u.Healthy {
			if out++; u.Reason != "" && why == "" {
				why = " (" + u.Server + ": " + u.Reason + ")"
			}
			first, last = earlier(first, u.UnhealthySince), later(last, u.UnhealthySince)
		}
	}
	switch {
	case out == len(servers):
		reason := fmt.Sprintf("no server of upstream %s can be asked: %s", group, failing(out, len(servers))) + why
		return append([]Condition{{Failing, reason, last, "/upstreams"}}, all...)
	case out > 0:
		all = append(all, Condition{Degraded, fmt.Sprintf("upstream %s: %s", group, failing(out, len(servers))) + why, first, "/upstreams"})
	}
	return all
}

// failing says how many of how many servers fail.
func failing(out, of int) string {
	if out == 1 {
		return fmt.Sprintf("1 of %d fails", of)
	}
	return fmt.Sprintf("%d of %d fail", out, of)
}

// ofEndpoints are the conditions of the endpoints that are probed.
func ofEndpoints(networks []Network) (all []Condition) {
	var unhealthy, unreachable int
	var first, firstUnreachable time.Time
	for _, n := range networks {
		unhealthy, unreachable = unhealthy+n.Unhealthy-n.Unreachable, unreachable+n.Unreachable
		first, firstUnreachable = earlier(first, n.unhealthySince), earlier(firstUnreachable, n.unreachableSince)
	}
	const path = "/endpoints?health=unhealthy"
	if unreachable > 0 {
		reason := counted(unreachable, "endpoint has", "endpoints have") + " no healthy address"
		all = append(all, Condition{Failing, reason, firstUnreachable, path})
	}
	if unhealthy > 0 {
		reason := counted(unhealthy, "endpoint has", "endpoints have") + " an address that is not healthy, and another one that is"
		all = append(all, Condition{Degraded, reason, first, path})
	}
	return all
}

// ofConfiguration are the conditions of what operators wrote.
func ofConfiguration(status Status, now time.Time) (all []Condition) {
	if last := status.LastReload; last != nil && !last.OK {
		all = append(all, Condition{Failing, "the last reload failed, and what was served before goes on", last.At, "/operate"})
	}
	if since := status.ReloadingSince; since != nil && now.Sub(*since) > reloadPatience {
		all = append(all, Condition{Degraded, "a reload has not ended", *since, "/operate"})
	}
	for _, loss := range status.LogLosses {
		reason := fmt.Sprintf("the query log (%s) lost %s: what takes them is too slow, full or away", loss.To,
			counted(int(loss.Lines), "line", "lines"))
		all = append(all, Condition{Level: Degraded, Reason: reason, Since: loss.Since})
	}
	if n := len(status.Warnings); n > 0 {
		all = append(all, Condition{Level: Degraded,
			Reason: "the configuration has " + counted(n, "warning", "warnings"), Since: status.Loaded, Path: "/#warnings"})
	}
	return all
}

// earlier is the earlier of two times of which either may not be known.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// later is the later of two times; one that is not known is before all others.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
