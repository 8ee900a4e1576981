// Package admin is the HTTP server for operators: is the process alive, does it
// serve, what does it count, and what would a given client be answered.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"pldns/resolver"
)

// Options are what a [Server] needs.
type Options struct {
	// Addr is where it listens. Port 0 lets the system choose.
	Addr netip.AddrPort
	// Explain decides as the server does and says how. It must not be nil.
	Explain func(context.Context, resolver.Query) (resolver.Answer, *resolver.Trace)
	// Status is the state of the program for /readyz. It must not be nil.
	Status func() Status
	// Reload reads the configuration anew, for /-/reload; the error says why it was
	// not served. It must not be nil.
	Reload func() error
	// Upstreams are the servers that may be asked, for /api/upstreams. It must not
	// be nil.
	Upstreams func() []Upstream
	// Memory is what upstreams said, for /api/cache and /-/flush. It must not be nil.
	Memory Memory
	// Leaks are what was seen of each network, for /api/leaks. It must not be nil.
	Leaks func() []Leaks
	// Metrics answers /metrics. It must not be nil.
	Metrics http.Handler
	// Log is told of faults of the HTTP server; nil discards them.
	Log *slog.Logger
}

// Status is the state of the program.
type Status struct {
	Ready     bool      `json:"ready"`
	Reason    string    `json:"reason,omitempty"` // why it is not ready
	Loaded    time.Time `json:"loaded"`           // when the configuration was loaded
	Networks  int       `json:"networks"`
	Endpoints int       `json:"endpoints"`
	Loops     []string  `json:"loops,omitempty"` // upstream servers that lead back to this program
	// LastReload is the last time that the configuration was read anew; absent when
	// it never was.
	LastReload *Reload `json:"last_reload,omitempty"`
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
	listener net.Listener
	http     *http.Server
}

// New makes a server. It neither listens nor starts anything.
func New(options Options) *Server {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{options: options}
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(options.Log.Handler(), slog.LevelWarn),
	}
	return s
}

// Listen opens the address.
func (s *Server) Listen() error {
	listener, err := net.Listen("tcp", s.options.Addr.String())
	if err != nil {
		return fmt.Errorf("open the admin address: %w (set listen.admin to a free address, or to \"off\")", err)
	}
	s.listener = listener
	return nil
}

// Addr is the open address, after Listen.
func (s *Server) Addr() netip.AddrPort {
	return s.listener.Addr().(*net.TCPAddr).AddrPort()
}

// Run serves until ctx ends, and then until the requests under way are answered
// or a second has passed. Listen comes first.
func (s *Server) Run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- s.http.Serve(s.listener) }()
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
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "alive")
	})
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.options.Metrics)
	mux.HandleFunc("GET /api/explain", s.explain)
	mux.HandleFunc("GET /api/upstreams", s.upstreams)
	mux.HandleFunc("GET /api/leaks", s.leaks)
	mux.HandleFunc("GET /api/cache", s.dump)
	mux.HandleFunc("POST /-/flush", s.flush)
	mux.HandleFunc("POST /-/reload", s.reload)
	// What changes something is not for pages of other origins to ask.
	return http.NewCrossOriginProtection().Handler(mux)
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

// reload answers POST /-/reload: 200 when the configuration of now is served, 422
// and why when it cannot be.
func (s *Server) reload(w http.ResponseWriter, _ *http.Request) {
	if err := s.options.Reload(); err != nil {
		writeJSON(w, http.StatusUnprocessableEntity, map[string]string{"error": err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, s.options.Status())
}

// writeJSON writes a value as JSON that no browser takes for anything else.
func writeJSON(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	// Writing fails when the client has gone; there is nobody left to tell.
	_ = encoder.Encode(value)
}
