package traffic_test

import (
	"fmt"
	"testing"
	"time"

	"pldns/resolver/metrics"
)

// What counting costs beside the counters that are there anyway: a batch of equal answers,
// one answer, and a query that is looked at more closely.
func BenchmarkTally(b *testing.B) {
	p := start(&clock{time.Unix(1_800_000_000, 0)})
	kind := local("hub")
	kind.Remembered = true
	for _, batch := range []int{64, 1} {
		for name, counting := range map[string]interface{ Add(int, time.Duration) }{
			"counters": metrics.New(metrics.Build{}).Tally(kind), "traffic": p.observer.Tally(kind),
		} {
			b.Run(fmt.Sprint(name, "/", batch), func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						counting.Add(batch, 3*time.Microsecond)
					}
				})
			})
		}
	}
}

func BenchmarkFindTally(b *testing.B) {
	p := start(&clock{time.Unix(1_800_000_000, 0)})
	for b.Loop() {
		p.observer.Tally(local("hub"))
	}
}

func BenchmarkSampled(b *testing.B) {
	p := start(&clock{time.Unix(1_800_000_000, 0)})
	e := exchange(question(b, "mydb.database.windows.net"), "10.0.0.7", "hub", 0, time.Millisecond)
	b.ReportAllocs()
	for b.Loop() {
		p.Exchanged(e)
	}
}

// A second of 1,000 networks that are all busy.
func BenchmarkLook(b *testing.B) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	p := start(c)
	for b.Loop() {
		for n := range 1000 {
			p.observer.Tally(local(fmt.Sprint("net", n))).Add(5, time.Millisecond)
		}
		c.now = c.now.Add(time.Second)
		p.Look()
	}
}

// Nothing is allocated on the way of an answer.
func TestNothingIsAllocated(t *testing.T) {
	p := start(&clock{time.Unix(1_800_000_000, 0)})
	e := exchange(question(t, "mydb.database.windows.net"), "10.0.0.7", "hub", 3, time.Second)
	if n := testing.AllocsPerRun(1000, func() {
		p.observer.Tally(local("hub")).Add(64, time.Microsecond)
		p.Exchanged(e)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
