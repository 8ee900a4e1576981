package observe_test

import (
	"fmt"
	"sync"
	"testing"

	"pldns/resolver/listen"
	"pldns/resolver/observe"
)

// Readers are told of what they want, in order, and those who do not read delay nobody:
// what they miss is counted.
func TestLive(t *testing.T) {
	changed := 0
	live := observe.NewLive(func() { changed++ }, func() string { return "abc" })
	if live.Wants() != (listen.Wants{}) {
		t.Error("without readers, it wants something")
	}
	stuck := live.Follow(observe.Filter{})
	picky := live.Follow(observe.Filter{Networks: []string{"asia"}})
	if changed != 2 || live.Wants() != (listen.Wants{Remembered: 1}) {
		t.Error("with readers, it does not want to be told of everything")
	}
	const queries = 1000
	for i := range queries {
		network := "europe"
		if i%100 == 0 {
			network = "asia"
		}
		e := answered(t, network, "10.0.0.7", fmt.Sprintf("n%d.contoso.com", i), 0, "")
		live.Exchanged(e)
		clear(e.Reply) // it may be used again at once
	}
	for i := range 10 {
		seen := <-picky.Seen()
		if seen.Name.String() != fmt.Sprintf("n%d.contoso.com", i*100) || seen.Release != "abc" || seen.Answer.Network != "asia" || seen.Reply[2] == 0 {
			t.Errorf("number %d is %+v", i, seen)
		}
	}
	if waiting := len(stuck.Seen()); picky.Lost() != 0 || waiting == 0 || stuck.Lost() != int64(queries-waiting) || stuck.Lost() != 0 {
		t.Errorf("who does not read has %d waiting", waiting)
	}
	picky.Close()
	stuck.Close()
	if changed != 4 || live.Wants() != (listen.Wants{}) {
		t.Error("without readers, it still wants something")
	}
}

// Readers come and go while many tell.
func TestLiveAtOnce(t *testing.T) {
	live := observe.NewLive(nil, nil)
	e := answered(t, "europe", "10.0.0.7", "a.contoso.com", 0, "")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 500 {
				live.Exchanged(e)
			}
		})
		group.Go(func() {
			for range 50 {
				reader := live.Follow(observe.Filter{})
				live.Exchanged(e)
				<-reader.Seen()
				reader.Close()
			}
		})
	}
	group.Wait()
}

// What nobody wants, or has no room for, costs no memory.
func TestLiveWithoutRoom(t *testing.T) {
	live := observe.NewLive(nil, nil)
	full, other := live.Follow(observe.Filter{}), live.Follow(observe.Filter{Networks: []string{"asia"}})
	defer full.Close()
	defer other.Close()
	e := answered(t, "europe", "10.0.0.7", "a.contoso.com", 0, "")
	for range 1000 {
		live.Exchanged(e)
	}
	if n := testing.AllocsPerRun(100, func() { live.Exchanged(e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkLive is what a query costs that nobody reads, that a reader does not want, and
// that one has no room for.
func BenchmarkLive(b *testing.B) {
	e := answered(b, "europe", "10.0.0.7", "mydb.database.windows.net", 0, "mydb.database.windows.net. 10 IN A 10.0.1.4")
	for name, filters := range map[string][]observe.Filter{
		"nobody": nil, "unwanted": {{Networks: []string{"asia"}}}, "full": {{}}, "named": {{Names: []observe.Pattern{"*.contoso.com"}}},
	} {
		b.Run(name, func(b *testing.B) {
			live := observe.NewLive(nil, nil)
			for _, filter := range filters {
				live.Follow(filter)
			}
			b.ReportAllocs()
			for b.Loop() {
				live.Exchanged(e)
			}
		})
	}
}
