// Package shadow compares what clients are answered with what another server says, so
// that whoever moves clients from one to the other sees first what would change for them.
// Of a sample of answers the other server is asked the same question, and how the two
// differ is counted, and listed by name and network.
//
// None of it is on the path of an answer. What is finished is handed over in
// [Shadow.Answered], which never waits: there is a bound for everything, and what exceeds
// it is dropped and counted. However the other server is doing, nobody else feels it.
package shadow

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/miekg/dns"
	"golang.org/x/time/rate"

	"pldns/resolver"
	"pldns/zones"
)

const (
	// queueSize is how many answers wait to be compared, and workers how many are being
	// compared.
	queueSize = 64
	workers   = 8
	// patience is how long the other server may take: Microsoft asks forwarders to Azure
	// DNS to wait for 4 s.
	patience = 4 * time.Second
	// tooOld is after how long an answer is not compared any more: what is said by then
	// may be about something else.
	tooOld = 5 * time.Second
	// knownQuestions is how many questions are known to have been compared lately.
	knownQuestions = 4096
)

// Result is what became of an answer that was to be compared.
type Result uint8

// The results. From RcodeDiffers to AliasDiffers they are differences, the worst first.
const (
	Same            Result = iota
	RcodeDiffers           // such as NXDOMAIN against an answer
	NoData                 // one has records of the type, and the other has none
	AddressesDiffer        // a private address, or none
	AliasDiffers           // the same address under another name
	Failed                 // the other server did not answer, or said that it failed
	Repeated               // the question was compared a moment ago
	Dropped                // there were too many, or all turns of the group were needed

	Results // how many there are
)

// String is the word used in metrics and listings.
func (r Result) String() string {
	return [Results]string{"same", "rcode", "nodata", "addresses", "alias", "failed", "repeated", "dropped"}[r]
}

// Differs tells whether it is a difference.
func (r Result) Differs() bool { return r >= RcodeDiffers && r <= AliasDiffers }

// Observer is told what comes of answers. Its methods are called by many goroutines at
// once.
type Observer interface {
	Shadowed(network string, result Result)
	// Panicked counts a fault of this program; part is "shadow".
	Panicked(part string)
}

// Config is what a [Shadow] is made of. A zero duration stands for its default.
type Config struct {
	// Group is the upstream group that is asked: what it said itself is not compared.
	Group string
	// To asks it, besides all that clients ask. It must not be nil.
	To resolver.Exchanger
	// Spare takes a turn of the group's for a question, if there is one that no client
	// needs. Nil always has one.
	Spare func() bool
	// Networks are those whose answers are compared; empty stands for all.
	Networks []string
	// Sample is the share of the answers that are compared, above 0 and up to 1.
	Sample float64
	// MaxQPS is how many answers a second are compared at most.
	MaxQPS float64
	// Differences is where the differences are kept. It must not be nil.
	Differences *Differences
	// Pause is how long a question waits at least, so that the answer has left before
	// anything is done that follows from it. Default 50 ms.
	Pause time.Duration
	// Again is after how long the same question of the same network is compared again, so
	// that there is room for others. Default 10 s.
	Again time.Duration
	// Observer counts; nil is nobody.
	Observer Observer
	// Log is told of faults of this program; nil discards.
	Log *slog.Logger
}

// Shadow compares. Its methods may be called by many goroutines at once.
type Shadow struct {
	config  Config
	queue   chan answered
	limiter *rate.Limiter
	oneIn   uint32
	part    float64 // of those drawn one in oneIn

	mu    sync.Mutex
	known *simplelru.LRU[question, time.Time] // when what was compared last
}

// question is what a network was asked.
type question struct {
	network string
	name    zones.Name
	qtype   uint16
}

// answered is an answer that is to be compared.
type answered struct {
	question
	at   time.Time
	ours Answer
	own  bool // it is the network's own data in the end
}

// New makes a Shadow. It asks nobody before Run.
func New(c Config) *Shadow {
	c.Pause, c.Again = cmp.Or(c.Pause, 50*time.Millisecond), cmp.Or(c.Again, 10*time.Second)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	s := &Shadow{config: c, queue: make(chan answered, queueSize)}
	s.limiter = rate.NewLimiter(rate.Limit(c.MaxQPS), max(1, int(min(c.MaxQPS, queueSize))))
	s.oneIn = uint32(max(1, min(1/c.Sample, math.MaxUint32)))
	s.part = c.Sample * float64(s.oneIn)
	s.known, _ = simplelru.NewLRU[question, time.Time](knownQuestions, nil) // fails for no size only
	return s
}

// OneIn is how many answers each stands for that has to be handed over: Answered draws
// from those.
func (s *Shadow) OneIn() uint32 { return s.oneIn }

// Answered takes an answer that is finished: one in OneIn, drawn at random. It does not
// wait.
func (s *Shadow) Answered(q resolver.Query, a resolver.Answer) {
	if s.part < 1 && rand.Float64() >= s.part || !s.compares(q, a) {
		return
	}
	now := time.Now()
	asked := question{a.Network, q.Name, q.Type}
	if a.Source != resolver.FromLocal && a.Group == s.config.Group {
		s.config.Differences.agree(asked) // what the same servers said is what they say
		return
	}
	if s.wasCompared(asked, now) {
		s.count(a.Network, Repeated)
		return
	}
	if len(s.queue) == cap(s.queue) || !s.limiter.AllowN(now, 1) {
		s.count(a.Network, Dropped)
		return
	}
	next := answered{question: asked, at: now, own: !a.Endpoint.IsZero() || !a.Zone.IsZero()}
	next.ours = answerOf(q.Type, a.Rcode, a.Unpacked().Records)
	next.network, next.name = a.Network, q.Name.Clone()
	select {
	case s.queue <- next:
		s.remember(next.question, now)
	default:
		s.count(a.Network, Dropped)
	}
}

// Compares tells whether the answers of a network are compared.
func (s *Shadow) Compares(network string) bool {
	return network != "" && (len(s.config.Networks) == 0 || slices.Contains(s.config.Networks, network))
}

// compares tells whether there is something to compare. Nothing is asked that a resolver
// answers by itself by the standards, or that does not leave this program; HTTPS and SVCB
// records, ANY, and what a policy decides are answered otherwise on purpose.
func (s *Shadow) compares(q resolver.Query, a resolver.Answer) bool {
	switch {
	case !s.Compares(a.Network) || a.Waits || q.Class != dns.ClassINET || !q.RecursionDesired:
		return false
	case q.Type == dns.TypeHTTPS || q.Type == dns.TypeSVCB || q.Type == dns.TypeANY || a.Rcode == dns.RcodeNotImplemented,
		a.Verdict.Decided():
		return false
	default:
		return a.Source != resolver.FromLocal || !zones.IsSpecial(a.Zone) && !isReverse(q.Name)
	}
}

// isReverse tells whether a name is one of the reverse zones.
func isReverse(name zones.Name) bool {
	return strings.HasSuffix(name.FQDN(), ".arpa.")
}

func (s *Shadow) wasCompared(q question, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, known := s.known.Get(q)
	return known && now.Sub(at) < s.config.Again
}

func (s *Shadow) remember(q question, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known.Add(q, now)
}

// Forget has every question compared again when it is answered next, as after a change
// of what is answered.
func (s *Shadow) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known.Purge()
}

// Run compares until ctx ends, and then returns nil. What waits by then is dropped.
func (s *Shadow) Run(ctx context.Context) error {
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case next := <-s.queue:
					s.compare(ctx, next)
				}
			}
		})
	}
	working.Wait()
	return nil
}

// compare asks about one answer. A panic costs no more than that.
func (s *Shadow) compare(ctx context.Context, next answered) {
	defer func() {
		if fault := recover(); fault != nil {
			if s.config.Observer != nil {
				s.config.Observer.Panicked("shadow")
			}
			s.config.Log.Error("panic in the comparison of an answer", "panic", fmt.Sprint(fault), "stack", string(debug.Stack()))
		}
	}()
	timer := time.NewTimer(time.Until(next.at.Add(s.config.Pause)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return
	case <-timer.C:
	}
	if time.Since(next.at) > tooOld || s.config.Spare != nil && !s.config.Spare() {
		s.count(next.network, Dropped)
		return
	}
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reply, err := resolver.Exchange(within, s.config.To, resolver.Question{Name: next.name, Type: next.qtype}, resolver.Asker{})
	switch {
	case ctx.Err() != nil:
		return // the program ends, or compares no more
	case err != nil:
		s.count(next.network, Failed)
		return
	}
	theirs := answerOf(next.qtype, reply.Rcode, reply.Answer)
	result := compare(next.qtype, next.ours, theirs, next.own)
	s.config.Differences.note(next.question, result, next.ours, theirs)
	s.count(next.network, result)
}

func (s *Shadow) count(network string, result Result) {
	s.config.Differences.count(network, result)
	if s.config.Observer != nil {
		s.config.Observer.Shadowed(network, result)
	}
}
