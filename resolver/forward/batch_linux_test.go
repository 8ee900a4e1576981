//go:build !portable

package forward_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/forward"
	"pldns/resolver/resolvertest"
	"pldns/resolver/udpio"
)

// said is what came of one question of a batch.
type said struct {
	name  string
	reply resolver.Reply
	err   error
}

// batches is a worker that a test drives.
type batches struct {
	*udpio.Worker
	told    []said
	pending int
}

// newBatches makes a worker, which is retired when the test ends.
func newBatches(t *testing.T) *batches {
	t.Helper()
	w, err := udpio.NewWorker(func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Retire)
	return &batches{Worker: w}
}

// ask begins the questions of one batch.
func (b *batches) ask(t *testing.T, p *forward.Pool, names ...string) {
	t.Helper()
	for _, name := range names {
		done := func(reply resolver.Reply, err error) {
			b.pending--
			b.told = append(b.told, said{name, reply, err})
		}
		from := resolver.Asker{Network: "hub", Worker: b.Worker}
		if _, pending, err := p.Start(question(name, dns.TypeA), from, time.Now().Add(ample), done); !pending {
			t.Fatalf("%s is not pending: %v", name, err)
		}
		b.pending++
	}
	b.Flush()
}

// hear gives what came of all questions.
func (b *batches) hear(t *testing.T) []said {
	t.Helper()
	if err := b.SetDeadline(time.Now().Add(ample)); err != nil {
		t.Fatal(err)
	}
	for b.pending > 0 {
		if _, err := b.Await(); err != nil {
			t.Fatalf("%d questions of a batch are not answered: %v", b.pending, err)
		}
		b.Flush()
	}
	told := b.told
	b.told = nil
	return told
}

// numbered are n names, and the records of an upstream that knows them.
func numbered(n int) (names []string, data string) {
	for i := range n {
		names = append(names, fmt.Sprintf("n%d.contoso.com", i))
		data += fmt.Sprintf("n%d.contoso.com. 60 IN A 10.0.0.%d\n", i, i)
	}
	return names, data
}

// right fails the test unless each name has its own answer.
func right(t *testing.T, told []said, names []string) {
	t.Helper()
	if len(told) != len(names) {
		t.Errorf("%d answers to %d questions", len(told), len(names))
	}
	for _, s := range told {
		if s.err != nil {
			t.Errorf("%s: %v", s.name, s.err)
			continue
		}
		number := strings.TrimSuffix(strings.TrimPrefix(s.name, "n"), ".contoso.com")
		resolvertest.SameRecords(t, s.name, s.reply.Unpacked().Answer, fmt.Sprintf("%s. A 10.0.0.%s", s.name, number))
	}
}

// The questions of one batch leave from a few ports, which are drawn anew for the next,
// with ids that are random and no port has twice; a single question has a port of its
// own.
func TestTheQuestionsOfABatch(t *testing.T) {
	const most, batchesAsked, size = 4, 30, 60
	names, data := numbered(size)
	u := resolvertest.StartUpstream(t, data)
	p, b := pool(t, u), newBatches(t)
	var ids, letters []uint64
	ever := make(map[uint16]bool)
	for range batchesAsked {
		u.Forget()
		b.ask(t, p, names...)
		right(t, b.hear(t), names)
		ports := make(map[uint16]int)
		seen := make(map[string]bool)
		for _, q := range u.Queries() {
			port := q.From.Port()
			ports[port]++
			ever[port] = true
			if at := fmt.Sprint(port, q.Msg.Id); seen[at] {
				t.Errorf("two questions have the same port and id: %s", at)
			} else {
				seen[at] = true
			}
			ids = append(ids, uint64(q.Msg.Id))
			letters = append(letters, upperCase(q.Msg.Question[0].Name[strings.IndexByte(q.Msg.Question[0].Name, '.'):]))
		}
		if len(ports) < 2 || len(ports) > most {
			t.Errorf("%d questions left from %d ports: %v", size, len(ports), ports)
		}
		for port, n := range ports {
			if port < 16384 || n > size*3/4 {
				t.Errorf("%d of %d questions left from port %d", n, size, port)
			}
		}
	}
	if len(ever) < batchesAsked {
		t.Errorf("%d batches left from %d ports in all", batchesAsked, len(ever))
	}
	measure(t, "id", ids, 15.0)
	measure(t, "letter case of 10 letters", letters, 9.5)
	u.Forget()
	for range 100 {
		b.ask(t, p, names[0])
		right(t, b.hear(t), names[:1])
	}
	alone := make(map[uint16]int)
	for _, q := range u.Queries() {
		alone[q.From.Port()]++
	}
	if len(alone) < 50 {
		t.Errorf("100 single questions left from %d ports", len(alone))
	}
}

// Sockets of a worker wear out like all others, and each is replaced by one other.
func TestSocketsOfAWorkerWearOut(t *testing.T) {
	names, data := numbered(20)
	u := resolvertest.StartUpstream(t, data)
	p, b := forward.Places(pool(t, u), 1), newBatches(t)
	for range 20 {
		b.ask(t, p, names...)
		right(t, b.hear(t), names)
	}
	used := make(map[uint16]int)
	for _, q := range u.Queries() {
		used[q.From.Port()]++
	}
	for port, n := range used {
		if n > forward.SocketUses+len(names) {
			t.Errorf("port %d was used for %d queries", port, n)
		}
	}
	if opened := int(b.Serial()) - 1; opened > len(used)+1 { // one port may have been drawn twice
		t.Errorf("%d sockets were opened, and %d ports used", opened, len(used))
	}
}

// A strange packet ends the use of a socket, also if it comes while the worker waits for
// its clients alone: nobody can lay in guesses for the next question.
func TestAStrangePacketWhileNobodyListens(t *testing.T) {
	names, data := numbered(1)
	u := resolvertest.StartUpstream(t, data)
	var asked *resolvertest.Asked
	answered := make(chan struct{})
	u.Always(func(a *resolvertest.Asked) {
		asked = a
		resolvertest.Answer(a)
		answered <- struct{}{}
	})
	p, b := forward.Places(pool(t, u), 1), newBatches(t)
	ask := func() {
		b.ask(t, p, names...)
		<-answered
		right(t, b.hear(t), names)
	}
	ask()
	if err := b.Alone(); err != nil {
		t.Fatal(err)
	}
	asked.SendBytes([]byte("a guess that is laid in"))
	ask()
	if q := u.Queries(); q[0].From == q[1].From {
		t.Errorf("a question left from port %d, where a guess was waiting", q[1].From.Port())
	}
}

// What comes to the ports of a batch and is not the answer, is not believed: another id,
// or the answer to another question that waits at the same port.
func TestForgeriesInABatch(t *testing.T) {
	names, data := numbered(12) // fewer than there have to be strange packets before TCP is asked
	u := resolvertest.StartUpstream(t, data)
	u.Always(resolvertest.Over(resolvertest.UDP, func(a *resolvertest.Asked) {
		lie := a.Reply()
		lie.Answer[0].(*dns.A).A = net.IP{192, 0, 2, 66}
		if last := a.Msg.Question[0].Name[1]; last%2 == 0 {
			lie.Id++
		} else {
			lie.Question[0].Name = "n0.contoso.com."
		}
		a.Send(lie)
		resolvertest.Answer(a)
	}))
	p, b := pool(t, u), newBatches(t)
	b.ask(t, p, names...)
	right(t, b.hear(t), names)
}

// Replies to questions that are given up do not count as strange packets against those
// that wait at the same port.
func TestLateRepliesAreNotStrange(t *testing.T) {
	names, data := numbered(20)
	seen := new(events)
	u := resolvertest.StartUpstream(t, data)
	p, empty := forward.Pooled(forward.Places(forward.Patient(newPool(t, forward.Config{
		Name: "azure", Servers: []forward.Server{plain(u.Addr)}, Timeout: ample, Observer: seen,
	})), 1))
	defer empty()
	b := newBatches(t)
	release := make(chan struct{})
	u.Always(resolvertest.Delay(release))
	gaveUp := make(chan error, 2*len(names))
	for range 2 {
		for _, name := range names {
			from := resolver.Asker{Network: "hub", Worker: b.Worker}
			_, _, _ = p.Start(question(name, dns.TypeA), from, time.Now().Add(20*time.Millisecond), func(_ resolver.Reply, err error) { gaveUp <- err })
		}
		b.Flush()
		for range names {
			if err := <-gaveUp; err == nil {
				t.Error("a question was answered that nobody answered")
			}
		}
	}
	b.ask(t, p, names...)
	close(release)
	right(t, b.hear(t), names)
	if n := seen.count("suspicious " + u.Addr.String() + " near-miss"); n > 0 {
		t.Errorf("late replies were taken for an attack %d times", n)
	}
}

// A worker that ends leaves questions behind: they are answered, its sockets are closed
// with the group, and what it would still ask is asked in another way.
func TestAWorkerThatRetires(t *testing.T) {
	names, data := numbered(10)
	u := resolvertest.StartUpstream(t, data)
	release := make(chan struct{})
	u.Always(resolvertest.Delay(release))
	p, empty := forward.Pooled(forward.Patient(newPool(t, forward.Config{Name: "azure", Servers: []forward.Server{plain(u.Addr)}, Timeout: ample})))
	b := newBatches(t)
	told := make(chan said, len(names))
	for _, name := range names {
		_, _, _ = p.Start(question(name, dns.TypeA), resolver.Asker{Worker: b.Worker}, time.Now().Add(ample),
			func(reply resolver.Reply, err error) { told <- said{name, reply, err} })
	}
	b.Flush()
	b.Retire()
	close(release)
	var all []said
	for range names {
		all = append(all, <-told)
	}
	right(t, all, names)
	empty()
	answered := make(chan said, 1)
	_, _, _ = p.Start(question(names[0], dns.TypeA), resolver.Asker{Worker: b.Worker}, time.Now().Add(ample),
		func(reply resolver.Reply, err error) { answered <- said{names[0], reply, err} })
	right(t, []said{<-answered}, names[:1])
}

// A server that nobody listens at is found out at once, for each question of a batch.
func TestABatchToAPortThatIsClosed(t *testing.T) {
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := netip.MustParseAddrPort(closed.LocalAddr().String())
	closed.Close()
	p, b := newPool(t, forward.Config{Name: "azure", Servers: []forward.Server{plain(nobody)}, Timeout: 2 * time.Second}), newBatches(t)
	p, empty := forward.Pooled(p)
	defer empty()
	names, _ := numbered(20)
	done := make(chan said, len(names))
	for _, name := range names {
		_, _, _ = p.Start(question(name, dns.TypeA), resolver.Asker{Worker: b.Worker}, time.Now().Add(ample),
			func(reply resolver.Reply, err error) { done <- said{name, reply, err} })
	}
	b.Flush()
	b.Retire() // so that another goroutine reads for it
	for range names {
		var failed *forward.Error
		if s := <-done; !errors.As(s.err, &failed) {
			t.Errorf("%s: %v, %v", s.name, s.reply, s.err)
		}
	}
}

// Where no more sockets may be opened, a batch leaves over those that there are.
func TestABatchWithoutFiles(t *testing.T) {
	names, data := numbered(60)
	u := resolvertest.StartUpstream(t, data)
	p, empty := forward.Pooled(forward.Patient(newPool(t, forward.Config{
		Name: "azure", Servers: []forward.Server{plain(u.Addr)}, Timeout: ample, Sockets: forward.LimitSockets(1),
	})))
	defer empty()
	b := newBatches(t)
	for range 5 {
		b.ask(t, p, names...)
		right(t, b.hear(t), names)
	}
}
