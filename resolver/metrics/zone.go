package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pldns/resolver/secondary"
)

// Zone is a zone of another server that is held as a copy, at one time.
type Zone struct {
	Name     string   // of the configuration
	Networks []string // that are answered from it
	// Held says that there is a copy that is answered from; Expired that there is one which
	// is too old for that.
	Held, Expired bool
	Serial        uint32
	Records       int
	// Confirmed is when a primary said last that the copy is that of the moment, Expires when
	// it is not answered from any more unless one does; zero where there is no copy.
	Confirmed, Expires time.Time
	OK                 bool // whether the last look at the primaries came to something
	Saved              bool // whether the copy is on disk
}

// Given is a zone that other servers may take, at one time.
type Given struct {
	Name, Network  string
	Serial         uint32
	Whole, Changes int64 // transfers since the start
	Untold         int   // servers that could not be told of it
}

// Hold says whom to ask about zones at each look.
func (r *Recorder) Hold(now func() ([]Zone, []Given)) { r.zones.now.Store(&now) }

// liveZones tells of zones as they are when somebody looks, so that one which a reload
// takes away has no series.
type liveZones struct {
	now atomic.Pointer[func() ([]Zone, []Given)]

	held, expired, serial, records, confirmed, expires, ok, saved *prometheus.Desc

	given, taken, untold *prometheus.Desc
}

func newLiveZones() *liveZones {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("pldns_zone_"+name, help, append([]string{"zone", "network"}, labels...), nil)
	}
	return &liveZones{
		held: desc("held", "Whether a network is answered from the copy of a zone of another server: 1, or 0 where there is "+
			"none yet or it has expired."),
		expired: desc("expired", "Whether the copy of a zone has expired, because no primary has confirmed it: 1 or 0."),
		serial:  desc("serial", "Serial of the copy of a zone; 0 where there is none."),
		records: desc("records", "Records of the copy of a zone."),
		confirmed: desc("confirmed_timestamp_seconds",
			"When a primary said last that the copy of a zone is that of the moment, in seconds since 1970; 0 where there is none."),
		expires: desc("expires_timestamp_seconds",
			"When the copy of a zone expires unless a primary confirms it, in seconds since 1970; 0 where there is none."),
		ok: desc("last_refresh_successful",
			"Whether a primary answered for a zone the last time that they were asked: 1, or 0 when what is held goes on."),
		saved:  desc("saved", "Whether the copy of a zone is on disk: 1 or 0."),
		given:  desc("given_serial", "Serial of a zone that other servers may take; 0 where there is nothing to be taken yet."),
		taken:  desc("given_transfers_total", "Transfers of a zone to other servers, by kind: whole or changes.", "kind"),
		untold: desc("given_untold", "Servers that could not be told that a zone has changed."),
	}
}

// Describe implements [prometheus.Collector].
func (l *liveZones) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		l.held, l.expired, l.serial, l.records, l.confirmed, l.expires, l.ok, l.saved, l.given, l.taken, l.untold,
	} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (l *liveZones) Collect(to chan<- prometheus.Metric) {
	now := l.now.Load()
	if now == nil {
		return
	}
	held, given := (*now)()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, value int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	for _, z := range held {
		for _, network := range z.Networks {
			gauge(l.held, truth(z.Held), z.Name, network)
			gauge(l.expired, truth(z.Expired), z.Name, network)
			gauge(l.serial, float64(z.Serial), z.Name, network)
			gauge(l.records, float64(z.Records), z.Name, network)
			gauge(l.confirmed, unixOf(z.Confirmed), z.Name, network)
			gauge(l.expires, unixOf(z.Expires), z.Name, network)
			gauge(l.ok, truth(z.OK), z.Name, network)
			gauge(l.saved, truth(z.Saved), z.Name, network)
		}
	}
	for _, g := range given {
		gauge(l.given, float64(g.Serial), g.Name, g.Network)
		gauge(l.untold, float64(g.Untold), g.Name, g.Network)
		counter(l.taken, g.Whole, g.Name, g.Network, "whole")
		counter(l.taken, g.Changes, g.Name, g.Network, "changes")
	}
}

// transferMetrics are about what primaries of zones give.
type transferMetrics struct {
	transfers, failures, notifies, saves *prometheus.CounterVec
	octets                               *prometheus.CounterVec
	confirmed                            prometheus.Counter
	panicked                             func(part string)
}

func newTransferMetrics(m maker, panicked func(string)) *transferMetrics {
	return &transferMetrics{
		transfers: m.counter("zone_transfers_total",
			"Transfers of zones from their primaries that came to a copy, by kind: axfr (the whole zone) or ixfr (its changes).", "kind"),
		octets: m.counter("zone_transfer_bytes_total", "Octets of transfers of zones from their primaries, by kind: axfr or ixfr.", "kind"),
		confirmed: m.counter("zone_confirmations_total",
			"Answers of primaries that the copy of a zone is that of the moment.").WithLabelValues(),
		failures: m.counter("zone_failures_total", "Attempts to get a zone from a primary that failed, by reason: unreachable, refused, "+
			"signature, certificate, malformed, backwards (its serial is older), too_large or broken_off.", "reason"),
		notifies: m.counter("zone_notifies_total",
			"Words that a zone has changed (NOTIFY), by result: taken, or refused (of nobody who is a primary of it).", "result"),
		saves:    m.counter("zone_saves_total", "Copies of zones that were written to disk, by result: ok or failed.", "result"),
		panicked: panicked,
	}
}

// Secondary counts what becomes of zones of other servers.
func (r *Recorder) Secondary() secondary.Observer { return r.transfers }

// Confirmed implements [secondary.Observer].
func (m *transferMetrics) Confirmed() { m.confirmed.Inc() }

// Transferred implements [secondary.Observer].
func (m *transferMetrics) Transferred(kind secondary.Kind, octets int64, _ time.Duration) {
	m.transfers.WithLabelValues(string(kind)).Inc()
	m.octets.WithLabelValues(string(kind)).Add(float64(octets))
}

// Failed implements [secondary.Observer].
func (m *transferMetrics) Failed(reason secondary.Reason) {
	m.failures.WithLabelValues(string(reason)).Inc()
}

// Notified implements [secondary.Observer].
func (m *transferMetrics) Notified(taken bool) {
	result := "refused"
	if taken {
		result = "taken"
	}
	m.notifies.WithLabelValues(result).Inc()
}

// Saved implements [secondary.Observer].
func (m *transferMetrics) Saved(ok bool) {
	result := "failed"
	if ok {
		result = "ok"
	}
	m.saves.WithLabelValues(result).Inc()
}

// Panicked implements [secondary.Observer].
func (m *transferMetrics) Panicked(part string) { m.panicked(part) }
