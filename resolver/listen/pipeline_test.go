package listen_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/listen"
	"pldns/resolver/resolvertest"
)

// names of what is answered whatever else is pending.
var local = []string{"mydb.database.windows.net", "known.example"}

// readNames reads so many replies, and gives the first labels of their names.
func readNames(t *testing.T, conn net.Conn, n int) map[string]int {
	t.Helper()
	seen := make(map[string]int)
	for range n {
		reply := unpack(t, read(t, conn))
		if reply.Rcode != dns.RcodeSuccess || len(reply.Answer) == 0 {
			t.Errorf("got %v", reply)
		}
		first, _, _ := strings.Cut(reply.Question[0].Name, ".")
		seen[first]++
	}
	return seen
}

// askHeld asks for names that are answered when they are released, and for local ones.
func askHeld(t *testing.T, conn net.Conn, from, count int) {
	t.Helper()
	for i := range count {
		write(t, conn, pack(t, query(fmt.Sprintf("held-%d.example", from+i), edns(1232))))
	}
	for _, name := range local {
		write(t, conn, pack(t, query(name)))
	}
}

// TestLocalBehindAFullPipeline: a connection whose pipeline is full goes on to be answered
// its private names and what is cached. What else it asks is asked outside as soon as
// there is room, and never more at one time than there is room for.
func TestLocalBehindAFullPipeline(t *testing.T) {
	const pipeline, total = 4, 40
	for _, transport := range []string{"tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			e := startHub(t, listen.Config{Pipeline: pipeline}, time.Hour)
			conn := e.dial(t, transport, "127.0.1.1")
			askHeld(t, conn, 0, total)
			if seen := readNames(t, conn, len(local)); seen["mydb"] != 1 || seen["known"] != 1 {
				t.Fatalf("while the pipeline is full, %v are answered", seen)
			}
			seen := 0
			for seen < total {
				e.await(t, min(pipeline, total-seen))
				n := e.release(t)
				readNames(t, conn, n)
				seen += n
				write(t, conn, pack(t, query(local[0])))
				if got := readNames(t, conn, 1); got["mydb"] != 1 {
					t.Fatalf("got %v", got)
				}
			}
			if datagrams, streams := e.InFlight(); datagrams+streams != 0 {
				t.Errorf("%d still wait", datagrams+streams)
			}
		})
	}
}

// TestLocalBesideFullConnections: a client that has too much pending over all of its
// connections is answered local names over each of them, and goes on in turn.
func TestLocalBesideFullConnections(t *testing.T) {
	const pipeline, conns, each = 4, 6, 10
	e := startHub(t, listen.Config{Pipeline: pipeline, InFlight: 64}, time.Hour)
	all := make([]net.Conn, conns)
	left := conns * each
	for i := range all {
		all[i] = e.dial(t, "tcp", "127.0.1.1")
		askHeld(t, all[i], i*each, each)
		if seen := readNames(t, all[i], len(local)); seen["mydb"] != 1 || seen["known"] != 1 {
			t.Fatalf("connection %d: %v are answered", i, seen)
		}
	}
	replies := make(chan []byte)
	for _, conn := range all {
		go func() {
			for range each {
				replies <- read(t, conn)
			}
		}()
	}
	for left > 0 {
		e.await(t, 1)
		for range e.release(t) {
			<-replies
			left--
		}
	}
}

// TestMoreThanIsHeld: a connection that asks ever more that has to wait is not read on at
// some point, and loses nothing when there is room again.
func TestMoreThanIsHeld(t *testing.T) {
	const pipeline, total = 4, 1000
	e := startHub(t, listen.Config{Pipeline: pipeline}, time.Hour)
	conn := e.dial(t, "tcp", "127.0.1.1")
	go askHeld(t, conn, 0, total)
	known := 0
	for answered := 0; answered < total; {
		e.await(t, 1)
		if _, streams := e.InFlight(); streams > pipeline {
			t.Fatalf("%d are pending", streams)
		}
		for n := e.release(t); n > 0; {
			reply := unpack(t, read(t, conn))
			if strings.HasPrefix(reply.Question[0].Name, "held") {
				n, answered = n-1, answered+1
			} else {
				known++
			}
		}
	}
	for ; known < len(local); known++ {
		read(t, conn)
	}
}

// await waits until the outside holds so many questions.
func (e everywhere) await(t *testing.T, n int) {
	t.Helper()
	resolvertest.Until(t, fmt.Sprintf("%d questions that are held", n), func() bool { return e.outside.holds() >= n })
}

// release has the outside answer what it holds, and tells how much that is.
func (e everywhere) release(t *testing.T) int {
	t.Helper()
	n := e.outside.holds()
	e.outside.releaseSome(n, 10)
	return n
}
