package querylog

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
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
	Logged(result Result, lines int)
	// Panicked counts a fault of this program that a line met; part is "querylog".
	Panicked(part string)
}

const (
	// queueLength is how many lines wait at most.
	queueLength = 8192
	// batchBytes is about how much is written at once: what a pipe takes in one
	// piece, so that lines do not mix with those of others who write there.
	batchBytes = 4096
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
	// File is the path of a file that lines are appended to; it is made, for its
	// user and group, if there is none. If it is empty, Writer is written to.
	File   string
	Writer io.Writer
	// Observer counts lines; nil is nobody.
	Observer Observer
	// Log is told when lines get lost; nil discards.
	Log *slog.Logger
	// Now is the clock; nil is the real one.
	Now func() time.Time
}

// Log is a query log. It is a [listen.Tap].
type Log struct {
	config   Config
	queue    chan entry
	sink     sink
	reopen   atomic.Bool
	start    time.Time
	second   atomic.Int64 // the one after start that few counts in
	few      atomic.Int64 // lines about strangers in it
	omitted  atomic.Int64 // lines about strangers that were not written since the last
	slow     *rate.Limiter
	troubled *rate.Limiter
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
	if c.File == "" {
		l.sink = &stream{c.Writer}
		return l, nil
	}
	f := &file{path: c.File, stays: func(err error) {
		l.warn(l.troubled, "the query log cannot be opened anew: lines go to the file that is open", "error", err)
	}}
	l.sink = f
	return l, f.openWithin(openPatience)
}

type nobody struct{}

func (nobody) Logged(Result, int) {}
func (nobody) Panicked(string)    {}

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
	line := newEntry(e)
	if (e.Answer.Network == "" || e.Why != listen.Accepted) && !l.admits(e.Began.Add(e.Took), &line) {
		l.config.Observer.Logged(Limited, 1)
		return
	}
	select {
	case l.queue <- line:
	default:
		l.config.Observer.Logged(Dropped, 1)
		l.warn(l.slow, "the query log cannot be written as fast as queries come: lines are dropped")
	}
}

func (l *Log) wants(e *listen.Exchange) bool {
	switch {
	case e.Remembered: // for somebody else: it was neither drawn for this log nor is it an error
		return false
	case l.config.Mode == Errors:
		return isError(e)
	default:
		return e.Drawn(l.oneIn())
	}
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
// written, and notes in it how many were not.
func (l *Log) admits(now time.Time, line *entry) bool {
	second := int64(now.Sub(l.start) / time.Second)
	if last := l.second.Load(); last != second && l.second.CompareAndSwap(last, second) {
		l.few.Store(0)
	}
	if l.few.Add(1) > strangers {
		l.omitted.Add(1)
		return false
	}
	line.omitted = l.omitted.Swap(0)
	return true
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
	w := newWriter(l.config.Clients)
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
		l.writeBatch(w, first)
	}
}

// writeBatch writes a line, and what else there is. What makes a line of somebody
// else's words must not be able to end the process: a panic costs the batch.
func (l *Log) writeBatch(w *writer, first entry) {
	defer func() {
		if fault := recover(); fault != nil {
			l.config.Observer.Panicked("querylog")
			l.config.Log.Error("panic in the query log", "panic", fault, "stack", string(debug.Stack()))
		}
	}()
	lines := w.gather(first, l.queue)
	if l.reopen.Swap(false) {
		l.sink.Stale()
	}
	if err := l.sink.Write(w.Bytes()); err != nil {
		l.warn(l.troubled, "the query log cannot be written: lines are lost", "error", err)
		l.config.Observer.Logged(Failed, lines)
		return
	}
	l.config.Observer.Logged(Written, lines)
}

// warn writes a line that may come again and again into the program's own log, unless
// the last of its kind is too near. The pause is one of the process's clock: that of
// the wall may be set.
func (l *Log) warn(kind *rate.Limiter, text string, details ...any) {
	if kind.AllowN(l.config.Now(), 1) {
		l.config.Log.Warn(text, details...)
	}
}
