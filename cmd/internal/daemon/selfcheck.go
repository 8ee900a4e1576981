package daemon

import (
	"context"
	"crypto/rand"
	"net/netip"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/metrics"
	"pldns/resolver/selfcheck"
	"pldns/zones"
)

// stuckFor is how long a listener may leave the program's own question unanswered
// before the program is for somebody else to restart: longer than any flood keeps
// every packet of one socket out.
const stuckFor = 30 * time.Second

// ownName is the name that the program asks itself for. It is drawn anew for each
// process, so that nobody else can ask for it.
func ownName() zones.Name { return zones.MustName(rand.Text() + ".check.pldns.internal") }

// ownAnswer is the answer to the program's own question: nothing, at once.
func ownAnswer() resolver.Answer {
	return resolver.Answer{Rcode: dns.RcodeSuccess, Source: resolver.FromLocal, Reuse: resolver.Once, Own: true}
}

// selfAsked is a resolver that answers the program's own question at once, by the way of
// every query.
type selfAsked struct {
	*resolver.Resolver
	own zones.Name
}

func (s selfAsked) Begin(at *resolver.Snapshot, q resolver.Query, network *zones.Network, wake func()) (resolver.Answer, resolver.Pending) {
	if q.Name == s.own {
		return ownAnswer(), nil
	}
	return at.Begin(q, network, wake)
}

// newChecker makes what asks at the listeners that are open.
func (s *Server) newChecker() *selfcheck.Checker {
	c := s.checking
	c.Name, c.Log, c.Own = s.own.String(), s.log, s.listeners.Own
	c.Proxied = func(addr netip.Addr) bool {
		for _, prefix := range s.now().trust.Proxies {
			if prefix.Contains(addr) {
				return true
			}
		}
		return false
	}
	for _, transport := range resolver.Transports() {
		for _, addr := range s.bound(transport) {
			c.Listeners = append(c.Listeners, selfcheck.Listener{Transport: transport, Addr: addr, Readers: s.listeners.Readers()})
		}
	}
	return selfcheck.New(c)
}

// answering are the listeners that are open, with whether each answers.
func (s *Server) answering() []metrics.Listener {
	if s.checker == nil {
		return nil
	}
	silent := make(map[selfcheck.Listener]bool)
	for _, fault := range s.checker.Faults() {
		silent[fault.Listener] = true
	}
	listeners := s.checker.Listeners()
	all := make([]metrics.Listener, len(listeners))
	for i, l := range listeners {
		all[i] = metrics.Listener{Transport: string(l.Transport), Addr: l.Addr.String(), Answers: !silent[l]}
	}
	return all
}

// alive is nil while every listener answers, or has ceased to a moment ago: then the
// program need not be restarted.
func (s *Server) alive() error { return s.checker.Stuck(stuckFor) }

// feedWatchdog tells a service manager that watches (WatchdogSec=) that the program
// is alive, while it is.
func (s *Server) feedWatchdog(ctx context.Context) error {
	within, err := sd.SdWatchdogEnabled(false)
	switch {
	case err != nil:
		s.log.Warn("the service manager's watchdog cannot be told anything", "error", err)
		return nil
	case within <= 0:
		return nil
	}
	tick := time.NewTicker(within / 4)
	defer tick.Stop()
	for {
		if err := s.alive(); err != nil {
			s.log.Error("the service manager's watchdog is told nothing, so that it restarts the program", "error", err)
		} else {
			s.notifier.tell(sd.SdNotifyWatchdog)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
