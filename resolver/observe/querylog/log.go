package querylog

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/time/rate"

	"pldns/resolver"
	"pldns/resolver/listen"
)

// Mode says which queries are written.
type Mode uint8

// The modes.
const (
	Errors  Mode = iota // failures: see [Log.Exchanged]
	Sampled             // one in so many, whatever came of it
	All
)

// Clients says how much of the address of a client is written.
type Clients uint8

// How much that is.
const (
	Subnet  Clients = iota // its /24, of IPv6 its /56
	Address                // all of it
	Nobody                 // nothing
)

// Result is what became of a line.
type Result uint8

// The results.
const (
	Written Result = iota
	Dropped        // the writer was too slow
	Limited        // one of too many about clients that belong to no network
	Failed         // it could not be written

	results
)

// String is the word used in metrics.
func (r Result) String() string {
	return [results]string{"written", "dropped", "limited", "failed"}[r]
}

// Observer is told what becomes of lines. Its methods are called by many goroutines
// at once.
type Observer interface {
	// Logged counts lines by where they go: "file", "stream", "syslog" or "otlp".
	Logged(to string, result Result, lines int)
	// Panicked counts a fault of this program that a line met; part is "querylog".
	Panicked(part string)
}

const (
	// queueLength is how many lines wait at most.
	queueLength = 8192
	// strangers is how many lines a second are about clients that belong to no
	// network, and about what was refused unread: anybody may cause them.
	strangers = 10
	// farewell is how long Run goes on writing after its context has ended.
	farewell = 2 * time.Second
	// warningPause is how far apart two warnings of the same kind are.
	warningPause = time.Minute
)

// Config says what is written, and where.
type Config struct {
	Mode Mode
	// Sample is how many queries one line stands for, if the mode is Sampled.
	Sample  uint32
	Clients Clients
	// Called is what a client of a network is called, empty where that is not known; it
	// is written with all of the address. Nil knows nothing.
	Called func(network string, client netip.Addr) string
	// Filter says which of those are written; nil all.
	Filter Filter
	// Where lines go: one of the following. File is the path of a file that they are
	// appended to; it is made, for its user and group, if there is none, and put aside
	// as Rotation says.
	File     string
	Rotation Rotation
	Syslog   *Syslog
	OTLP     *OTLP
	Writer   io.Writer
	// Observer counts lines; nil is nobody.
	Observer Observer
	// Log is told when lines get lost; nil discards.
	Log *slog.Logger
	// Now is the clock; nil is the real one.
	Now func() time.Time
}

// Filter says which queries are wanted. Its method is called by many goroutines at once,
// for every query.
type Filter interface {
	Match(e *listen.Exchange) bool
}

// Log is a query log. It is a [listen.Tap].
type Log struct {
	config   Config
	to       string // what it is called in metrics
	where    []any  // the same, as it is logged
	queue    chan entry
	sink     sink
	reopen   atomic.Bool
	start    time.Time
	second   atomic.Int64 // the one after start that few counts in
	few      atomic.Int64 // lines about strangers in it
	omitted  atomic.Int64 // lines about strangers that were not written since the last
	slow     *rate.Limiter
	troubled *rate.Limiter
	losses   losses
}

// New makes a log, and opens its file. The error says what is wrong with that.
func New(c Config) (*Log, error) {
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	c.Observer = cmp.Or[Observer](c.Observer, nobody{})
	if c.Now == nil {
		c.Now = time.Now
	}
	l := &Log{
		config: c, queue: make(chan entry, queueLength), start: c.Now(),
		slow: rate.NewLimiter(rate.Every(warningPause), 1), troubled: rate.NewLimiter(rate.Every(warningPause), 1),
	}
	err := l.openSink()
	l.where = []any{"to", l.to}
	return l, err
}

// openSink opens where lines go. Those that are far away are connected to later.
func (l *Log) openSink() error {
	c, lost := l.config, func(err error) {
		l.warn(l.troubled, "nobody takes the query log: lines wait, and are dropped when too many do", "error", err)
	}
	switch {
	case c.Syslog != nil:
		l.to, l.sink = "syslog", newMessages(*c.Syslog, lost)
	case c.OTLP != nil:
		l.to, l.sink = "otlp", newRecords(*c.OTLP, lost)
	case c.File == "":
		l.to, l.sink = "stream", &stream{to: c.Writer}
	default:
		f := &file{path: c.File, rotate: c.Rotation, now: c.Now, stays: func(err error) {
			l.warn(l.troubled, "the query log stays in the file that is open", "error", err)
		}}
		l.to, l.sink = "file", f
		return f.openWithin(openPatience)
	}
	return nil
}

type nobody struct{}

func (nobody) Logged(string, Result, int) {}
func (nobody) Panicked(string)            {}

// Reopen makes the log open its file anew before it writes the next line, as after
// a rotation; it looks by itself once a second, too.
func (l *Log) Reopen() { l.reopen.Store(true) }

// Wants is the sample of queries that are written: each line says why it was answered so.
func (l *Log) Wants() listen.Wants { return listen.Wants{Anew: l.oneIn()} }

// oneIn is that sample.
func (l *Log) oneIn() uint32 {
	switch l.config.Mode {
	case All:
		return 1
	case Sampled:
		return l.config.Sample
	default:
		return 0
	}
}

// Exchanged takes note of a query, if the mode asks for it. Errors are what was
// refused or failed, with whatever response code but NXDOMAIN, what was answered
// with data that has expired, and what was answered with an address though none of
// its endpoint is healthy.
func (l *Log) Exchanged(e *listen.Exchange) {
	if !l.wants(e) {
		return
	}
	var omitted int64
	if e.Answer.Network == "" || e.Why != listen.Accepted {
		var admitted bool
		if omitted, admitted = l.admits(e.Began.Add(e.Took)); !admitted {
			l.config.Observer.Logged(l.to, Limited, 1)
			return
		}
	}
	if len(l.queue) == cap(l.queue) { // before any work
		l.drop()
		return
	}
	line := newEntry(e)
	line.omitted = omitted
	select {
	case l.queue <- line:
	default:
		l.drop()
	}
}

// drop counts a line that there is no room for.
func (l *Log) drop() {
	l.losses.add(1, l.config.Now().Sub(l.start))
	l.config.Observer.Logged(l.to, Dropped, 1)
	l.warn(l.slow, "the query log cannot be written as fast as queries come: lines are dropped", l.where...)
}

func (l *Log) wants(e *listen.Exchange) bool {
	switch {
	case e.Remembered: // for somebody else: it was neither drawn for this log nor is it an error
		return false
	case l.config.Mode == Errors:
		if !isError(e) {
			return false
		}
	case !e.Drawn(l.oneIn()):
		return false
	}
	return l.config.Filter == nil || l.config.Filter.Match(e)
}

func isError(e *listen.Exchange) bool {
	a := &e.Answer
	switch {
	case e.Why != listen.Accepted, a.Source == resolver.FromStale:
		return true
	case a.Rcode == dns.RcodeSuccess:
		return a.Source == resolver.FromLocal && len(a.Errors) > 0
	default:
		return a.Rcode != dns.RcodeNameError
	}
}

// admits tells whether a line about somebody who belongs to no network may be
// written, and how many since the last one were not.
func (l *Log) admits(now time.Time) (omitted int64, admitted bool) {
	second := int64(now.Sub(l.start) / time.Second)
	if last := l.second.Load(); last != second && l.second.CompareAndSwap(last, second) {
		l.few.Store(0)
	}
	if l.few.Add(1) > strangers {
		l.omitted.Add(1)
		return 0, false
	}
	return l.omitted.Swap(0), true
}

// Run writes until ctx ends, and then what is in the queue. It returns an error if
// that is not possible: something holds the last line up.
func (l *Log) Run(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.write(ctx)
	}()
	<-ctx.Done()
	if within(done, farewell) {
		return l.sink.Close()
	}
	err := l.sink.Close() // which ends the writing where that can be ended
	if within(done, farewell) {
		return err
	}
	return errors.New("query log: nothing takes the lines that are written: standard output or the file is stuck")
}

// Abandon closes a log that is not run.
func (l *Log) Abandon() { _ = l.sink.Close() }

// within waits for done, at most for a time.
func within(done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// write writes batches of lines until ctx ends and the queue is empty.
func (l *Log) write(ctx context.Context) {
	for {
		var first entry
		select {
		case first = <-l.queue:
		case <-ctx.Done():
			select {
			case first = <-l.queue:
			default:
				return
			}
		}
		l.writeBatch(first)
	}
}

// writeBatch writes a line, and what else there is. What makes a line of somebody
// else's words must not be able to end the process: a panic costs the batch.
func (l *Log) writeBatch(first entry) {
	defer func() {
		if fault := recover(); fault != nil {
			l.sink.Reset()
			l.config.Observer.Panicked("querylog")
			l.config.Log.Error("panic in the query log", "panic", fault, "stack", string(debug.Stack()))
		}
	}()
	lines := l.gather(first)
	if l.reopen.Swap(false) {
		l.sink.Stale()
	}
	written, err := l.sink.Flush()
	if err != nil {
		l.warn(l.troubled, "the query log cannot be written: lines are lost", "to", l.to, "error", err)
		l.config.Observer.Logged(l.to, Failed, lines-written)
		l.losses.add(lines-written, l.config.Now().Sub(l.start))
	}
	if written > 0 {
		l.config.Observer.Logged(l.to, Written, written)
	}
}

// gather adds a line, and what waits behind it as far as there is room for. It gives the
// number of lines.
func (l *Log) gather(first entry) (lines int) {
	for next := first; ; {
		words := next.line(l.config.Clients, l.config.Called)
		full := l.sink.Add(&words)
		if lines++; full {
			return lines
		}
		select {
		case next = <-l.queue:
		default:
			return lines
		}
	}
}

// warn writes a line that may come again and again into the program's own log, unless
// the last of its kind is too near. The pause is one of the process's clock: that of
// the wall may be set.
func (l *Log) warn(kind *rate.Limiter, text string, details ...any) {
	if kind.AllowN(l.config.Now(), 1) {
		l.config.Log.Warn(text, details...)
	}
}
