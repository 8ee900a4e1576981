package forward

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

const (
	// loopZone is where the names of loop probes are. It lies under a name that is
	// reserved for private use, so that servers in between pass it on, as they
	// would not do with .invalid, and nobody else can own it.
	loopZone = "loop.pldns.internal"
	// loopMark is how the names begin that are made to find out whether a server leads
	// back the names below others.
	loopMark = "pldns-loop-"
	// loopPause is how long it takes at most until a server is probed for a loop
	// again.
	loopPause = 30 * time.Second
	// loopRecheck is the same for a server that is known to lead back here.
	loopRecheck = 2 * time.Second
)

// Loops finds forwarding loops: upstream servers that, over however many others,
// ask this program. A pool asks each of its servers for a name that nobody knows;
// when that name is asked here, the server leads back to here. Names that got no
// answer are looked into in the same way, for servers that lead only those back. One Loops serves
// all pools of a process and all of its listeners. Its methods may be called by
// many goroutines at once.
type Loops struct {
	zone zones.Name // the names of this process
	mark string     // with which the names begin that it makes below others

	mu   sync.Mutex
	sent map[zones.Name]bool // the names that are out, and whether they came back
}

// NewLoops makes a finder of loops that recognises its own names only.
func NewLoops() *Loops {
	return &Loops{
		zone: zones.MustName(loopZone).Under(randomLabel()),
		mark: loopMark + randomLabel()[:12] + "-",
		sent: make(map[zones.Name]bool),
	}
}

// Caught tells whether a question that a client asks is one that this process
// asked an upstream server. Such a question has gone round: it should be refused,
// and must not be forwarded. It is cheap for all other names.
func (l *Loops) Caught(name zones.Name) bool {
	if !strings.HasPrefix(name.FQDN(), l.mark) && !name.Within(l.zone) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, out := l.sent[name]; out {
		l.sent[name] = true
	}
	return true
}

// begin makes a question to send to a server.
func (l *Loops) begin() resolver.Question {
	return l.send(l.zone.Under(randomLabel()))
}

// beginBelow makes a question to send to a server for a name right below another one;
// false if there is no room for one.
func (l *Loops) beginBelow(parent zones.Name) (resolver.Question, bool) {
	name := parent.Under(l.mark + randomLabel())
	if _, err := zones.ParseName(name.FQDN()); err != nil {
		return resolver.Question{}, false
	}
	return l.send(name), true
}

func (l *Loops) send(name zones.Name) resolver.Question {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[name] = false
	return resolver.Question{Name: name, Type: dns.TypeA}
}

// end forgets a question and tells whether it came back.
func (l *Loops) end(q resolver.Question) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer delete(l.sent, q.Name)
	return l.sent[q.Name]
}

// randomLabel is a label that nobody guesses.
func randomLabel() string {
	var drawn [12]byte
	_, _ = rand.Read(drawn[:]) // never fails, by its documentation
	return hex.EncodeToString(drawn[:])
}
