package dnstap

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"pldns/resolver/forward"
	"pldns/resolver/listen"
)

// Result is what became of a message.
type Result uint8

// The results.
const (
	Sent    Result = iota
	Dropped        // the receiver was too slow, or away

	results
)

// String is the word used in metrics.
func (r Result) String() string { return [results]string{"sent", "dropped"}[r] }

// Observer is told what becomes of messages. Its method is called by many goroutines
// at once.
type Observer interface {
	Tapped(result Result, messages int)
}

// Config says what is sent, and where. A zero duration stands for its default.
type Config struct {
	// Network is "unix" or "tcp", and Address that of the receiver.
	Network, Address string
	// Sample is how many queries one that is sent stands for; 1 sends all.
	Sample uint32
	// Identity and Version say who sends.
	Identity, Version string
	// Patience is how long a receiver may take for a step of the handshake, and to
	// take what is sent to it. Default 5 s.
	Patience time.Duration
	// Pause is how long to wait before the second attempt to connect; it doubles up
	// to PauseMax. Defaults 100 ms and 5 s.
	Pause, PauseMax time.Duration
	// Queue is how many queries wait at most. Default 4096.
	Queue int
	// Observer counts; nil is nobody.
	Observer Observer
	// Log is told when a receiver comes and goes; nil discards.
	Log *slog.Logger
}

// Tap sends. It is a [listen.Tap] and a [forward.Tap].
type Tap struct {
	config    Config
	queue     chan exchange
	size      atomic.Int64 // octets of the messages in the queue
	connected atomic.Bool
	absent    bool // it was said that there is no receiver; of Run alone
}

// maxWaiting is about how many octets wait at most: a message may have 64 KB.
const maxWaiting = 16 << 20

// exchange is a query of a client and its reply, each as a message of dnstap; or one
// message of the forwarder.
type exchange [2][]byte

// size is how many octets it has.
func (e exchange) size() int64 { return int64(len(e[0]) + len(e[1])) }

// count is how many messages it has.
func (e exchange) count() int {
	if e[1] == nil {
		return 1
	}
	return 2
}

// count is how many messages some have.
func count(all []exchange) (messages int) {
	for _, e := range all {
		messages += e.count()
	}
	return messages
}

// New makes a tap. It connects when it runs.
func New(c Config) *Tap {
	c.Patience = cmp.Or(max(c.Patience, 0), 5*time.Second)
	c.Pause = cmp.Or(max(c.Pause, 0), 100*time.Millisecond)
	c.PauseMax = cmp.Or(max(c.PauseMax, 0), 5*time.Second)
	c.Queue = cmp.Or(max(c.Queue, 0), 4096)
	c.Observer = cmp.Or[Observer](c.Observer, nobody{})
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	return &Tap{config: c, queue: make(chan exchange, c.Queue)}
}

type nobody struct{}

func (nobody) Tapped(Result, int) {}

// Connected tells whether a receiver takes messages.
func (t *Tap) Connected() bool { return t.connected.Load() }

// Wants is the sample of queries that are sent, wherever their replies come from.
func (t *Tap) Wants() listen.Wants { return listen.Wants{Remembered: t.config.Sample} }

// Exchanged takes note of a query that was drawn for the sample.
func (t *Tap) Exchanged(e *listen.Exchange) {
	if !e.Drawn(t.config.Sample) {
		return
	}
	if t.full() { // before any work
		t.config.Observer.Tapped(Dropped, 2)
		return
	}
	t.add(t.messages(e))
}

// full tells whether nothing more may wait.
func (t *Tap) full() bool { return len(t.queue) == cap(t.queue) || t.size.Load() > maxWaiting }

// add has messages wait, or drops them.
func (t *Tap) add(e exchange) {
	t.size.Add(e.size())
	select {
	case t.queue <- e:
	default:
		t.size.Add(-e.size())
		t.config.Observer.Tapped(Dropped, e.count())
	}
}

// Asked implements [forward.Tap]: it draws a sample of its own.
func (t *Tap) Asked(m *forward.Message) bool {
	if t.config.Sample > 1 && rand.Uint32N(t.config.Sample) > 0 {
		return false
	}
	t.tell(m)
	return true
}

// Answered implements [forward.Tap].
func (t *Tap) Answered(m *forward.Message) { t.tell(m) }

func (t *Tap) tell(m *forward.Message) {
	if t.full() {
		t.config.Observer.Tapped(Dropped, 1)
		return
	}
	t.add(t.forwarded(m))
}

// Run connects to the receiver, again and again, and sends until ctx ends; then what is
// in the queue, if the receiver takes it. A receiver that cannot be reached is logged and
// counted, so the error is always nil.
func (t *Tap) Run(ctx context.Context) error {
	var left []exchange // of a receiver that went away
	pause := t.config.Pause
	for ctx.Err() == nil {
		s, err := t.connect(ctx)
		if err == nil {
			t.there()
			pause = t.config.Pause
			left, err = s.send(ctx, left)
			s.close(len(left) == 0)
			t.connected.Store(false)
		}
		if ctx.Err() != nil {
			break
		}
		t.away(err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, t.config.PauseMax)
	}
	for len(t.queue) > 0 {
		left = append(left, <-t.queue)
	}
	if lost := count(left); lost > 0 {
		t.config.Observer.Tapped(Dropped, lost)
	}
	return nil
}

// there says that there is a receiver.
func (t *Tap) there() {
	t.absent = false
	t.connected.Store(true)
	t.config.Log.Info("dnstap: a receiver takes messages", "to", t.config.Address)
}

// away says that there is none, once.
func (t *Tap) away(err error) {
	if !t.absent {
		t.absent = true
		t.config.Log.Warn("dnstap: no receiver takes messages: they wait, and are dropped when too many do", "to", t.config.Address,
			"error", err)
	}
}
