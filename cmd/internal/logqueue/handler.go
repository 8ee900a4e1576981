package logqueue

import (
	"context"
	"io"
	"log/slog"
	"sync"
)

// maxHeld bounds the records that wait until it is known how they are written.
const maxHeld = 256

// format says how records become lines. It may be changed while they come.
type format struct {
	mu    sync.Mutex
	known bool
	json  bool
	level slog.Level
	held  []func() // what came before it was known, in order
}

// set says how records are written from now on, and writes those that waited for it.
func (f *format) set(json bool, level slog.Level) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known, f.json, f.level = true, json, level
	for _, write := range f.held {
		write()
	}
	f.held = nil
}

// settle writes what still waits as text: nobody will say how.
func (f *format) settle() {
	f.mu.Lock()
	known := f.known
	f.mu.Unlock()
	if !known {
		f.set(false, slog.LevelInfo)
	}
}

// handler writes records as the format says.
type handler struct {
	format     *format
	text, json slog.Handler
}

func newHandler(f *format, to io.Writer) handler {
	all := &slog.HandlerOptions{Level: slog.LevelDebug} // the format leaves out what is not wanted
	return handler{f, slog.NewTextHandler(to, all), slog.NewJSONHandler(to, all)}
}

// Enabled tells whether records of a level are written.
func (h handler) Enabled(_ context.Context, level slog.Level) bool {
	h.format.mu.Lock()
	defer h.format.mu.Unlock()
	return !h.format.known || level >= h.format.level
}

// Handle writes a record, or keeps it until it is known how.
func (h handler) Handle(ctx context.Context, record slog.Record) error {
	h.format.mu.Lock()
	to := h.chosen()
	if !h.format.known && len(h.format.held) < maxHeld {
		record = record.Clone()
		h.format.held = append(h.format.held, func() {
			if record.Level >= h.format.level {
				_ = h.chosen().Handle(ctx, record) // a [Queue] takes every line
			}
		})
	}
	known := h.format.known
	h.format.mu.Unlock() // who writes may be slow
	if !known {
		return nil
	}
	return to.Handle(ctx, record)
}

// chosen writes in the format. It is called with the format locked.
func (h handler) chosen() slog.Handler {
	if h.format.json {
		return h.json
	}
	return h.text
}

// WithAttrs adds attributes to every record.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.format, h.text.WithAttrs(attrs), h.json.WithAttrs(attrs)}
}

// WithGroup puts the attributes of every record into a group.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.format, h.text.WithGroup(name), h.json.WithGroup(name)}
}

// Log is the log whose lines the queue takes. Until [Queue.Set] says how, they wait.
func (q *Queue) Log() *slog.Logger { return slog.New(newHandler(&q.format, q)) }

// reportDropped says in the log, past the queue, how many lines were dropped.
func (q *Queue) reportDropped(lines int) {
	h := newHandler(&q.format, q.to)
	h.format.mu.Lock()
	to, wanted := h.chosen(), slog.LevelWarn >= h.format.level
	h.format.mu.Unlock()
	if wanted {
		slog.New(to).Warn("lines of this log were dropped: nothing took them as fast as they came", "lines", lines)
	}
}

// Set says that the lines of [Queue.Log] are objects of JSON from now on, or text, and from
// which level on there are any.
func (q *Queue) Set(json bool, level slog.Level) { q.format.set(json, level) }
