package replycache

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"pldns/resolver/wire"
)

const rd = Asks(wire.RD)

// silent is a Tally of nobody.
type silent struct{}

func (silent) Add(int, time.Duration) {}

// question is a question section: a name of one label, type A, class IN.
func question(label string) []byte {
	return append(append([]byte{byte(len(label))}, label...), 0, 0, 1, 0, 1)
}

// message is a message with the question and one TTL at its end.
func message(label string, ttl byte) []byte {
	return append(append(make([]byte, questionAt), question(label)...), 0, 0, 0, ttl)
}

// entry is what is remembered for a label: it lasts ten seconds.
func entry(label string) Entry {
	m := message(label, 60)
	return Entry{Message: m, TTLs: []uint16{uint16(len(m) - 4)}, Expires: Moment(10 * time.Second), Tally: silent{}}
}

func key(network uint32, label string) []byte { return AppendKey(nil, network, rd, question(label)) }

// TestReply: what is put in comes out with the id, the letter case and the TTL
// of the moment, until it expires.
func TestReply(t *testing.T) {
	m := newCache(64, 1<<20)
	m.Put(key(1, "MyDB"), entry("MyDB"))
	for _, row := range []struct {
		name string
		key  []byte
		at   time.Duration
		ttl  byte // 0 for no reply
	}{
		{"at once", key(1, "mydb"), 0, 60},
		{"in another letter case", key(1, "mYdB"), 999 * time.Millisecond, 60},
		{"RFC 2181: TTLs count down", key(1, "mydb"), 3500 * time.Millisecond, 57},
		{"expired", key(1, "mydb"), 10 * time.Second, 0},
		{"another network", key(2, "mydb"), 0, 0},
		{"another name", key(1, "mydc"), 0, 0},
		{"other bits", AppendKey(nil, 1, rd|DO, question("mydb")), 0, 0},
		{"another type", AppendKey(nil, 1, rd, append(question("mydb")[:6], 0, 28, 0, 1)), 0, 0},
	} {
		reply := m.Get(row.key, Moment(row.at))
		if reply == nil || row.ttl == 0 {
			if (reply != nil) != (row.ttl != 0) {
				t.Errorf("%s: the reply is %v", row.name, reply)
			}
			continue
		}
		want := message("mYdB", row.ttl)
		want[0], want[1] = 0xAB, 0xCD
		if got := reply.Write(make([]byte, 512), 0xABCD, question("mYdB"), Moment(row.at)); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %x\nwant %x", row.name, got, want)
		}
	}
}

// TestKeys: letters are folded in the name and nowhere else: HTTPS is type 65, an A.
func TestKeys(t *testing.T) {
	https := append(question("A")[:3], 0, 'A', 0, 1)
	if got := AppendKey(nil, 0x01020304, 0x0107, https); string(got) != "\x01\x02\x03\x04\x01\x07\x01a\x00\x00A\x00\x01" {
		t.Errorf("the key is %q", got)
	}
}

// TestForget: nothing outlives it, also not what was being decided meanwhile.
func TestForget(t *testing.T) {
	m := newCache(64, 1<<20)
	before := entry("late")
	m.Put(key(1, "early"), entry("early"))
	m.Forget()
	m.Put(key(1, "late"), before)
	if m.Get(key(1, "early"), 0) != nil || m.Get(key(1, "late"), 0) != nil || m.Len() != 0 || m.Bytes() != 0 {
		t.Errorf("%d replies of %d bytes are left", m.Len(), m.Bytes())
	}
	before.Generation = m.Generation()
	m.Put(key(1, "late"), before)
	if m.Get(key(1, "late"), 0) == nil {
		t.Error("what came later is not remembered")
	}
}

// TestBounds: however much is put in, there are at most so many replies and
// bytes, and the books are right.
func TestBounds(t *testing.T) {
	for _, limit := range []int64{1 << 20, 3000} {
		m := newCache(64, limit)
		for i := range 10_000 {
			m.Put(key(1, fmt.Sprint("n", i)), entry(fmt.Sprint("n", i)))
			if m.Bytes() > limit {
				t.Fatalf("%d bytes", m.Bytes())
			}
		}
		var held int64
		for i := range m.sets {
			for way := range m.sets[i].ways {
				if reply := m.sets[i].ways[way].Load(); reply != nil {
					held += reply.size()
				}
			}
		}
		if m.Len() == 0 || m.Len() > 64 || held != m.Bytes() {
			t.Errorf("%d replies of %d bytes, said to be %d", m.Len(), held, m.Bytes())
		}
	}
}

// TestFlood: names that are asked for once do not drive out what is asked for
// again and again.
func TestFlood(t *testing.T) {
	m := newCache(64, 1<<20)
	lasting := entry("hot")
	lasting.Expires = Forever
	m.Put(key(1, "hot"), lasting)
	for i := range 10_000 {
		if m.Get(key(1, "hot"), Moment(i)) == nil {
			t.Fatalf("lost after %d names", i)
		}
		e := entry(fmt.Sprint("n", i))
		e.AsOf, e.Expires = Moment(i), Forever
		m.Put(key(1, fmt.Sprint("n", i)), e)
	}
}

// TestConcurrency: readers and writers at once see whole replies to their own
// questions, and the books are right in the end.
func TestConcurrency(t *testing.T) {
	m := newCache(64, 20_000)
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			out := make([]byte, 512)
			for range 20_000 {
				label := fmt.Sprint("n", random.IntN(200))
				if random.IntN(5000) == 0 {
					m.Forget()
				}
				if reply := m.Get(key(1, label), 0); reply != nil {
					if got := reply.Write(out, 0, question(label), 0); !bytes.Equal(got, message(label, 60)) {
						t.Errorf("%s: %x", label, got)
					}
					continue
				}
				e := entry(label)
				e.Generation = m.Generation()
				m.Put(key(1, label), e)
			}
		})
	}
	group.Wait()
	m.Forget()
	if m.Len() != 0 || m.Bytes() != 0 {
		t.Errorf("%d replies of %d bytes are left", m.Len(), m.Bytes())
	}
}

// TestAllocations: a reply from memory costs no garbage.
func TestAllocations(t *testing.T) {
	m := newCache(64, 1<<20)
	m.Put(key(1, "hot"), entry("hot"))
	asked, out, room := question("hot"), make([]byte, 512), make([]byte, 0, MaxKey)
	if allocated := testing.AllocsPerRun(1000, func() {
		reply := m.Get(AppendKey(room[:0], 1, rd, asked), Moment(2*time.Second))
		reply.Write(out, 1, asked, Moment(2*time.Second))
	}); allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}

func BenchmarkGet(b *testing.B) {
	const label = "momenta-eun-database-windows-net-has-forty"
	m := New()
	for i := range 20_000 {
		m.Put(key(1, fmt.Sprint(label, i)), entry(fmt.Sprint(label, i)))
	}
	var asked [1024][]byte
	for i := range asked {
		asked[i] = question(fmt.Sprint(label, i))
	}
	out, room, i := make([]byte, 512), make([]byte, 0, MaxKey), 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		q := asked[i%len(asked)]
		if reply := m.Get(AppendKey(room[:0], 1, rd, q), 1); reply != nil {
			reply.Write(out, 1, q, 1)
		}
	}
}
