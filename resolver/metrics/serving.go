package metrics

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pldns/zones"
)

// Serving is what metrics say of the configuration that is served.
type Serving struct {
	Table     *zones.Table
	Loaded    time.Time
	Upstreams []Upstream
	Policies  map[string]int // entries of each, by name
	// CertificateEnds is when the certificates of the secure listeners expire, by what the
	// configuration calls them.
	CertificateEnds map[string]time.Time
}

// Upstream is a server of an upstream group, by the names that metrics give them.
type Upstream struct {
	Group, Server string
	Healthy       bool
	Capacity      int // of the group: questions that it may have under way
}

// subjects are what series are about.
type subjects struct {
	mu       sync.Mutex                                   // held by those who change them
	current  atomic.Pointer[map[string]prometheus.Labels] // by a key for each
	leftover map[string]prometheus.Labels
}

// has tells whether a server is part of what is served.
func (s *subjects) has(group, server string) bool {
	current := s.current.Load()
	return current != nil && (*current)[serverKey(group, server)] != nil
}

func serverKey(group, server string) string { return "server\x00" + group + "\x00" + server }

// labels are the labels of everything that series may be about, as far as the
// configuration says.
func (now Serving) labels() map[string]prometheus.Labels {
	all := make(map[string]prometheus.Labels)
	for _, network := range now.Table.Networks() {
		all["network\x00"+network.Name()] = prometheus.Labels{"network": network.Name()}
	}
	for name := range now.Policies {
		all["policy\x00"+name] = prometheus.Labels{"policy": name}
	}
	for _, u := range now.Upstreams {
		all["group\x00"+u.Group] = prometheus.Labels{"group": u.Group}
		all[serverKey(u.Group, u.Server)] = prometheus.Labels{"group": u.Group, "server": u.Server}
	}
	return all
}

// forget drops the series of what is not part of what is served any more. Queries
// that are under way may make some of them anew: they are dropped the next time.
func (r *Recorder) forget(now Serving) {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	next := now.labels()
	before := r.of.current.Swap(&next)
	gone := make(map[string]prometheus.Labels)
	if before != nil {
		maps.Copy(gone, *before)
	}
	maps.DeleteFunc(gone, func(key string, _ prometheus.Labels) bool { return next[key] != nil })
	r.drop(r.of.leftover, next)
	r.drop(gone, next)
	r.of.leftover = gone
}

// drop drops series, but those of what is there again.
func (r *Recorder) drop(gone, next map[string]prometheus.Labels) {
	for key, labels := range gone {
		if next[key] != nil {
			continue
		}
		for _, metric := range *r.labelled {
			metric.DeletePartialMatch(labels)
		}
	}
}

// Asked are figures that are asked for whenever metrics are read. A nil one is
// not there.
type Asked struct {
	// InFlight gives how many queries wait for the outside: over UDP, and over streams.
	InFlight func() (datagrams, streams int)
	// Unreachable gives, for each network with endpoints that are probed, how many
	// of them have no healthy address.
	Unreachable func() map[string]int
	// Dnstap tells whether a receiver of dnstap takes messages, and whether one is
	// meant to.
	Dnstap func() (connected, configured bool)
	// Cache gives how many answers are remembered, and the memory that they take in octets.
	Cache func() (entries int, octets int64)
	// Upstreams gives what the upstream groups have under way, each once.
	Upstreams func() []UnderWay
	// DroppedLines gives how many lines of the program's own log were dropped.
	DroppedLines func() int64
	// Listeners gives the listeners, with whether each answers the program's own question.
	Listeners func() []Listener
	// History tells whether the history of traffic could be written the last time, and
	// whether it is meant to be.
	History func() (saved, configured bool)
}

// Listener is a transport at a local address.
type Listener struct {
	Transport, Addr string
	Answers         bool
}

// UnderWay is what an upstream group has under way.
type UnderWay struct {
	Group     string
	Questions int            // however many queries are sent for each
	Queries   map[string]int // that wait for a reply, by server
}

// Ask says where figures are asked for, once.
func (r *Recorder) Ask(asked Asked) { r.live.asked.Store(&asked) }

// liveMetrics are about what is so now.
type liveMetrics struct {
	asked                            atomic.Pointer[Asked]
	inFlight, unreachable, connected *prometheus.Desc
	droppedLines                     *prometheus.Desc
	cacheEntries, cacheBytes         *prometheus.Desc
	questions, queries               *prometheus.Desc
	answers, history                 *prometheus.Desc
}

func newLiveMetrics() *liveMetrics {
	return &liveMetrics{
		inFlight: prometheus.NewDesc("pldns_queries_in_flight",
			"Queries that wait for the outside, by transport: udp, or stream for all others.", []string{"transport"}, nil),
		unreachable: prometheus.NewDesc("pldns_endpoints_unreachable",
			"Probed endpoints of a network of which no address is healthy.", []string{"network"}, nil),
		connected: prometheus.NewDesc("pldns_dnstap_connected",
			"Whether a dnstap receiver takes messages: 1 or 0; absent where none is configured.", nil, nil),
		droppedLines: prometheus.NewDesc("pldns_log_lines_dropped_total",
			"Lines of the program's own log that were dropped, because whoever reads standard error was too slow, or stuck.", nil, nil),
		cacheEntries: prometheus.NewDesc("pldns_cache_entries", "Answers remembered.", nil, nil),
		cacheBytes:   prometheus.NewDesc("pldns_cache_bytes", "Memory of the answers remembered.", nil, nil),
		questions: prometheus.NewDesc("pldns_upstream_questions",
			"Questions that an upstream group has under way, however many queries are sent for each.", []string{"group"}, nil),
		queries: prometheus.NewDesc("pldns_upstream_in_flight",
			"Queries that wait for an upstream server.", []string{"group", "server"}, nil),
		answers: prometheus.NewDesc("pldns_listener_answers",
			"Whether a listener answers the program's own question, by transport and local address: 1 or 0.",
			[]string{"transport", "listener"}, nil),
		history: prometheus.NewDesc("pldns_traffic_saved",
			"Whether the history of traffic is on disk: 1 or 0; absent where no file is configured.", nil, nil),
	}
}

// Describe says which metrics there are.
func (l *liveMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- l.inFlight
	to <- l.unreachable
	to <- l.connected
	to <- l.droppedLines
	to <- l.cacheEntries
	to <- l.cacheBytes
	to <- l.questions
	to <- l.queries
	to <- l.answers
	to <- l.history
}

// Collect asks for them.
func (l *liveMetrics) Collect(to chan<- prometheus.Metric) {
	asked := l.asked.Load()
	if asked == nil {
		return
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	if asked.InFlight != nil {
		datagrams, streams := asked.InFlight()
		gauge(l.inFlight, float64(datagrams), "udp")
		gauge(l.inFlight, float64(streams), "stream")
	}
	if asked.Cache != nil {
		entries, octets := asked.Cache()
		gauge(l.cacheEntries, float64(entries))
		gauge(l.cacheBytes, float64(octets))
	}
	if asked.Upstreams != nil {
		for _, u := range asked.Upstreams() {
			gauge(l.questions, float64(u.Questions), u.Group)
			for server, queries := range u.Queries {
				gauge(l.queries, float64(queries), u.Group, server)
			}
		}
	}
	if asked.Unreachable != nil {
		for network, endpoints := range asked.Unreachable() {
			gauge(l.unreachable, float64(endpoints), network)
		}
	}
	if asked.Dnstap != nil {
		if connected, configured := asked.Dnstap(); configured {
			gauge(l.connected, truth(connected))
		}
	}
	if asked.Listeners != nil {
		for _, at := range asked.Listeners() {
			gauge(l.answers, truth(at.Answers), at.Transport, at.Addr)
		}
	}
	if asked.History != nil {
		if saved, configured := asked.History(); configured {
			gauge(l.history, truth(saved))
		}
	}
	if asked.DroppedLines != nil {
		to <- prometheus.MustNewConstMetric(l.droppedLines, prometheus.CounterValue, float64(asked.DroppedLines()))
	}
}
