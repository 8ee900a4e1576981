package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pldns/resolver/listen/replycache"
	"pldns/zones/policy"
)

// policyMetrics are about what policies have said.
type policyMetrics struct {
	matches *prometheus.CounterVec
	entries *prometheus.GaugeVec
	tallies *series[verdict, matches]

	confined *prometheus.CounterVec
	private  *series[string, matches] // by network
}

// verdict is what the queries that are counted together have in common.
type verdict struct {
	network, policy string
	action          policy.Action
}

// matches counts queries. There is one for each verdict.
type matches struct{ counter prometheus.Counter }

func newPolicyMetrics(m maker) policyMetrics {
	p := policyMetrics{
		matches: m.counter("policy_matches_total",
			"Queries for which an entry of a response policy holds, by network, policy and action: nxdomain, nodata, drop, tcp-only, "+
				"redirect and data are answered so; passthru and log are answered as if there were none.",
			"network", "policy", "action"),
		entries: m.gauge("policy_entries", "Entries of a response policy.", "policy"),
	}
	p.confined = m.counter("required_private_answers_total",
		"Answers from outside of which public addresses were left out because the network requires private ones (require_private), "+
			"by network.", "network")
	p.private = newSeries(m, func(network string) matches { return matches{p.confined.WithLabelValues(network)} })
	p.tallies = newSeries(m, func(of verdict) matches {
		return matches{p.matches.WithLabelValues(of.network, of.policy, of.action.String())}
	})
	return p
}

// PolicyHas records how many entries a policy has.
func (r *Recorder) PolicyHas(name string, entries int) {
	r.policy.entries.WithLabelValues(name).Set(float64(entries))
}

// Policed gives what counts the queries of which a policy has said one thing.
func (r *Recorder) Policed(network, name string, action policy.Action) replycache.Tally {
	return r.policy.tallies.of(verdict{network, name, action})
}

// Confined gives what counts the queries of a network of whose answers public addresses were
// left out.
func (r *Recorder) Confined(network string) replycache.Tally { return r.policy.private.of(network) }

// Add counts queries.
func (m matches) Add(queries int, _ time.Duration) { m.counter.Add(float64(queries)) }
