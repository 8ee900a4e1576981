// Package admin is the HTTP server for operators: is the process alive, does it
// serve, what does it count, and what would a given client be answered. Programs
// get JSON, and people a page, which needs no script: with one it shows by itself what has
// changed, and single queries as they are answered.
//
// Reading needs nothing but to reach the address; changing something needs a
// token. Without one the server listens on loopback addresses only.
package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"pldns/resolver"
	"pldns/resolver/observe"
	"pldns/resolver/traffic"
	"pldns/zones"
	"pldns/zones/content"
)

// Options are what a [Server] needs.
type Options struct {
	// Addr is where it listens. Port 0 lets the system choose.
	Addr netip.AddrPort
	// Connections is how many connections are open at one time, half of them of one
	// address at most. A further one takes the place of the one that has been without
	// a request for the longest time. Default 128.
	Connections int
	// Explain decides as the server does and says how. It must not be nil.
	Explain func(context.Context, resolver.Query) (resolver.Answer, *resolver.Trace)
	// Status is the state of the program for /readyz. It must not be nil.
	Status func() Status
	// Alive is an error when the program is so ill that it should be restarted, for
	// /healthz. Nil never says so.
	Alive func() error
	// Reload reads the configuration anew, for /-/reload; the error says why it was
	// not served. It must not be nil.
	Reload func() error
	// Upstreams are the servers that may be asked, for /api/upstreams. It must not
	// be nil.
	Upstreams func() []Upstream
	// Cache is what upstreams said, for /api/cache and /-/flush. It must not be nil.
	Cache Cache
	// Unmapped are the unmapped names of each network; who was never asked for may be
	// left out. It must not be nil.
	Unmapped func() []Unmapped
	// NeverAsked goes through the endpoints of a network that nobody has asked for, by
	// name. Nil finds none.
	NeverAsked func(*zones.Network) iter.Seq[zones.Name]
	// Networks are the networks in the order in which they are shown; what is counted
	// of their endpoints may be left out. Nil stands for none.
	Networks func() []Network
	// Pending are the queries that wait for the outside, for /api/pending. Nil stands for
	// none.
	Pending func() []Pending
	// Index are the endpoints of all networks. Nil stands for none.
	Index func() *EndpointIndex
	// Sources are where mappings come from, for /api/sources. Nil stands for none.
	Sources func() []Source
	// Zones are those that are exchanged with other servers, for /api/zones. Nil stands for
	// none.
	Zones func() Zones
	// Accept lets go of what a source holds back, for /-/accept; an empty name stands
	// for every source. It gives how many resources that is. Nil accepts nothing.
	Accept func(source string, subscriptions []string) (int, error)
	// Origin says where an endpoint comes from; empty where that is not known. Nil
	// knows nothing.
	Origin func(network string, name zones.Name) string
	// ZoneFile is what a network sees of a zone, for /api/zonefile; the error says why there is
	// nothing, as when there is no such network. Nil has no zones.
	ZoneFile func(network string, zone zones.Name) (*content.Zone, error)
	// Shadow is how answers compare with those of another upstream, for /api/shadow. Nil
	// compares none.
	Shadow func() Shadow
	// Health knows how the addresses of endpoints are. Nil knows nothing bad.
	Health Health
	// Instance is in the head of every page.
	Instance Instance
	// Traffic is what was answered. Nil stands for one that has seen nothing.
	Traffic *traffic.Traffic
	// Called is what a client of a network is called, empty where that is not known. Nil
	// knows nothing.
	Called func(network string, client netip.Addr) string
	// Recent are the last decisions. Nil stands for a list that sees none.
	Recent *observe.Recent
	// Live tells of single queries as they are answered, for /api/live. Nil stands for one
	// that sees none.
	Live *observe.Live
	// Access says who may do what. It is asked for every request. Nil stands for
	// nobody's changing anything.
	Access func() Access
	// Panicked counts a fault of this program that a request met; part is "admin".
	// Nil counts nothing.
	Panicked func(part string)
	// Metrics answers /metrics. It must not be nil.
	Metrics http.Handler
	// Log is told of faults of the HTTP server; nil discards them.
	Log *slog.Logger
}

// Instance tells this program from others that are configured alike.
type Instance struct {
	Name, Version string    // an empty name is not shown
	Began         time.Time // when it was started
}

// Status is the state of the program.
type Status struct {
	Ready     bool      `json:"ready"`
	Reason    string    `json:"reason,omitempty"` // why it is not ready
	Loaded    time.Time `json:"loaded"`           // when the configuration was loaded
	Networks  int       `json:"networks"`
	Endpoints int       `json:"endpoints"`
	Loops     []string  `json:"loops,omitempty"` // upstream servers that lead back to this program
	// Zones are those of other servers that queries are answered SERVFAIL of, and why.
	Zones []string `json:"zones,omitempty"`
	// Silent are the listeners that do not answer the program's own questions.
	Silent []Silent `json:"silent,omitempty"`
	// Warnings are what the configuration says and probably does not mean.
	Warnings []string `json:"warnings,omitempty"`
	// Listening is where queries arrive, and Certificates what the secure listeners
	// show; absent where there are none. AsksClients says that they ask clients for one
	// of theirs.
	Listening    []Listening   `json:"listening,omitempty"`
	Certificates []Certificate `json:"certificates,omitempty"`
	AsksClients  bool          `json:"asks_clients,omitempty"`
	// LastReload is the last time that the configuration was read anew; absent when
	// it never was.
	LastReload *Reload `json:"last_reload,omitempty"`
	// ReloadingSince is when the first reload began that has not ended; absent when
	// there is none. One that hangs does not hold up the next.
	ReloadingSince *time.Time `json:"reloading_since,omitempty"`
	// Store is how the store of the fleet is followed; absent where there is none.
	Store *Store `json:"store,omitempty"`
	// LogLosses are the places of the query log that lost lines in the last minutes.
	LogLosses []LogLoss `json:"log_losses,omitempty"`
}

// LogLoss is what a place of the query log lost.
type LogLoss struct {
	To    string    `json:"to"`    // file, stream, syslog or otlp
	Lines int64     `json:"lines"` // since then
	Since time.Time `json:"since"`
}

// Listening is an address at which queries arrive.
type Listening struct {
	Over    string         `json:"over"` // dns (UDP and TCP), dot, doh, doq or h3
	Address netip.AddrPort `json:"address"`
}

// Silent is a listener that does not answer.
type Silent struct {
	Transport string         `json:"transport"` // udp, tcp, tls, https, doq or h3
	Address   netip.AddrPort `json:"address"`
	Since     time.Time      `json:"since"`
	Error     string         `json:"error"`
}

// Reload is what came of reading the configuration anew.
type Reload struct {
	At    time.Time `json:"at"`
	OK    bool      `json:"ok"`
	Error string    `json:"error,omitempty"` // why what was served before goes on
}

// Server serves HTTP for operators.
type Server struct {
	options  Options
	conns    bounded // its Listener is nil before Listen
	http     *http.Server
	refusals rate.Sometimes // when wrong tokens are logged
	unlogged atomic.Int64   // those since the last line
	sessions sessions
	held     heldState
	streams  streams
	stopping chan struct{} // closed when the server ends
	// templates are those of the pages, read when the first is asked for.
	templates func() map[string]*template.Template
}

// New makes a server. It neither listens nor starts anything.
func New(options Options) *Server {
	options.fill()
	s := &Server{options: options, conns: bounded{limit: options.Connections}, templates: sync.OnceValue(pageTemplates),
		refusals: rate.Sometimes{Interval: warningPause}, sessions: newSessions(), stopping: make(chan struct{})}
	s.http = &http.Server{
		Handler:           s.conns.answering(s.handler()),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ConnContext:       withConn,
		ErrorLog:          slog.NewLogLogger(options.Log.Handler(), slog.LevelWarn),
	}
	s.http.RegisterOnShutdown(sync.OnceFunc(func() { close(s.stopping) }))
	return s
}

// fill puts what stands for nothing in the place of what is left out.
func (o *Options) fill() {
	o.Connections = cmp.Or(max(o.Connections, 0), defaultConnections)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Networks == nil {
		o.Networks = func() []Network { return nil }
	}
	if o.Index == nil {
		o.Index = func() *EndpointIndex { return new(EndpointIndex) }
	}
	if o.Called == nil {
		o.Called = func(string, netip.Addr) string { return "" }
	}
	if o.NeverAsked == nil {
		o.NeverAsked = func(*zones.Network) iter.Seq[zones.Name] { return func(func(zones.Name) bool) {} }
	}
	o.Health = cmp.Or[Health](o.Health, nothingBad{})
	o.Traffic = cmp.Or(o.Traffic, traffic.New(traffic.Config{}))
	o.Recent = cmp.Or(o.Recent, observe.NewRecent(nil, nil))
	o.Live = cmp.Or(o.Live, observe.NewLive(nil, nil))
}

// Health knows how the addresses of endpoints are. Its methods are called by many
// goroutines at once.
type Health interface {
	resolver.Health
	// Since is when a target became unhealthy; zero for a healthy one.
	Since(zones.Target) time.Time
}

// nothingBad is a health of which nothing is known.
type nothingBad struct{}

func (nothingBad) Healthy(zones.Target) bool    { return true }
func (nothingBad) Fault(zones.Target) string    { return "" }
func (nothingBad) Since(zones.Target) time.Time { return time.Time{} }

// Listen opens the address. Without a token it must be a loopback address. It is an error
// if it cannot be opened, or must not be.
func (s *Server) Listen() error { return s.ListenOn(nil) }

// ListenOn is Listen with a listener that was opened before for the address; nil
// stands for none. If it fails, the listener is still the caller's.
func (s *Server) ListenOn(listener net.Listener) error {
	if !s.options.Addr.Addr().IsLoopback() && s.access().Token == "" {
		return fmt.Errorf("open the admin address: %s can be reached from other machines, and there is no token (name a file that "+
			"holds one in listen.admin_token_file, or set listen.admin to a loopback address)", s.options.Addr)
	}
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", s.options.Addr.String()); err != nil {
			return fmt.Errorf("open the admin address: %w (set listen.admin to a free address, or to \"off\")", err)
		}
	}
	s.conns.Listener = listener
	return nil
}

// Addr is the open address, after Listen.
func (s *Server) Addr() netip.AddrPort {
	return s.conns.Addr().(*net.TCPAddr).AddrPort()
}

// Run serves until ctx ends, and then until the requests under way are answered or a
// second has passed. Listen comes first. The error is that of the listener, if it ends by
// itself.
func (s *Server) Run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- s.http.Serve(&s.conns) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve the admin address: %w", err)
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := s.http.Shutdown(patience); err != nil {
		s.http.Close() // the requests that are left are cut off
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the admin address: %w", err)
	}
	return nil
}

// handler routes the requests.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthy)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.options.Metrics)
	mux.HandleFunc("GET /api/explain", s.explain)
	mux.HandleFunc("GET /api/upstreams", s.upstreams)
	mux.HandleFunc("GET /api/state", s.state)
	mux.HandleFunc("GET /api/unmapped", s.unmapped)
	mux.HandleFunc("GET /api/cache", s.dump)
	mux.HandleFunc("GET /api/networks", s.listNetworks)
	mux.HandleFunc("GET /api/endpoints", s.listEndpoints)
	mux.HandleFunc("GET /api/pending", s.listPending)
	mux.HandleFunc("GET /api/recent", s.recent)
	mux.HandleFunc("GET /api/live", s.follow)
	mux.HandleFunc("GET /api/sources", s.listSources)
	mux.HandleFunc("GET /api/zones", s.listZones)
	mux.HandleFunc("GET /api/zonefile", s.guarded(s.zoneFile))
	mux.HandleFunc("GET /api/shadow", s.showShadow)
	mux.HandleFunc("GET /api/traffic", s.listTraffic)
	mux.HandleFunc("GET /api/top", s.listTop)
	mux.HandleFunc("POST /-/flush", s.guarded(s.flush))
	mux.HandleFunc("POST /-/reload", s.guarded(s.reload))
	mux.HandleFunc("POST /-/live", s.guarded(s.live))
	mux.HandleFunc("POST /-/accept", s.guarded(s.accept))
	mux.HandleFunc("POST /-/leave", s.leave)
	s.handlePages(mux)
	// What was called leaks is there under its old names for one release more.
	mux.HandleFunc("GET /api/leaks", s.unmapped)
	mux.Handle("GET /leaks", http.RedirectHandler("/unmapped", http.StatusMovedPermanently))
	return s.recovering(s.secured(mux))
}

// recovering answers 500 to a request that meets a fault of this program, as far as
// nothing has been answered yet.
func (s *Server) recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if fault := recover(); fault != nil {
				if s.options.Panicked != nil {
					s.options.Panicked("admin")
				}
				s.options.Log.Error("panic in a request to the admin address", "path", r.URL.Path, "panic", fault, "stack",
					string(debug.Stack()))
				http.Error(w, "this request met a fault of the program; its log says more", http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// healthy answers 200 unless the program should be restarted, then 503 and why.
func (s *Server) healthy(w http.ResponseWriter, _ *http.Request) {
	if s.options.Alive != nil {
		if err := s.options.Alive(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "alive")
}

// ready answers 200 when queries are served, else 503, with the status.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	status := s.options.Status()
	code := http.StatusOK
	if !status.Ready {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, status)
}

// writeJSON writes a value as JSON.
func writeJSON(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	// Writing fails when the client has gone; there is nobody left to tell.
	_ = encoder.Encode(value)
}
