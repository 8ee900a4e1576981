package upstream_test

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/upstream"
)

// A question that goes well takes no goroutine and hardly any memory.
func TestAQuestionLeavesLittleBehind(t *testing.T) {
	if !hasStock(t) {
		t.Skip("this build has no stock of sockets: every question opens one")
	}
	p, empty := upstream.Stocked(upstream.Places(upstream.Patient(newPool(t, upstream.Config{
		Name: "azure", Timeout: ample, Servers: []upstream.Server{plain(quickServer(t))},
	})), 1))
	defer empty()
	a, asked := make(asker, 1), question("www.contoso.com", dns.TypeA)
	deadline := time.Now().Add(ample)
	allocs := testing.AllocsPerRun(20*upstream.SocketUses, func() {
		if !p.Start(deadline, asked, a) {
			t.Fatal("it was not started")
		}
		if got := <-a; got.err != nil {
			t.Fatal(got.err)
		}
	})
	t.Logf("%v pieces of memory for each question", allocs)
	if allocs > maxGarbage {
		t.Errorf("%v pieces of memory for each question, want %d", allocs, maxGarbage)
	}
}
