package forward_test

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/forward"
)

// A question that goes well takes no goroutine and hardly any memory.
func TestAQuestionLeavesLittleBehind(t *testing.T) {
	if !hasPool(t) {
		t.Skip("this build has no socket pool: every question opens one")
	}
	p, empty := forward.Pooled(forward.Places(forward.Patient(newPool(t, forward.Config{
		Name: "azure", Timeout: ample, Servers: []forward.Server{plain(quickServer(t))},
	})), 1))
	defer empty()
	told, asked := make(chan error, 1), question("www.contoso.com", dns.TypeA)
	done := func(_ resolver.Reply, err error) { told <- err }
	deadline := time.Now().Add(ample)
	allocs := testing.AllocsPerRun(20*forward.SocketUses, func() {
		if _, pending, err := p.Start(asked, resolver.Asker{}, deadline, done); !pending {
			t.Fatalf("it was not started: %v", err)
		}
		if err := <-told; err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%v pieces of memory for each question", allocs)
	if allocs > maxGarbage {
		t.Errorf("%v pieces of memory for each question, want %d", allocs, maxGarbage)
	}
}
