package main

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/pires/go-proxyproto"

	"pldns/resolver/resolvertest"
)

// askOften asks over UDP many times, and gives how many replies were cut down to
// the TC bit and how many say what was expected.
func (r *running) askOften(from, want string) (truncated, answered int) {
	r.tb.Helper()
	for range 60 {
		reply := r.ask("udp", from, "momenta-eun.database.windows.net", dns.TypeA)
		switch {
		case reply.Truncated && reply.Rcode == dns.RcodeSuccess && len(reply.Answer) == 0:
			truncated++
		case says(reply) == want:
			answered++
		default:
			r.tb.Fatalf("%s is told %v", from, reply)
		}
	}
	return truncated, answered
}

const (
	saysEurope   = "NOERROR | CNAME momenta-eun.privatelink.database.windows.net. | A 10.0.1.4"
	saysUnlisted = "REFUSED | EDE 18"
)

// Clients of no network are limited, and told to come over TCP, where they are told
// what they always are; networks are limited when the operator says so; a reload
// changes either.
func TestLimit(t *testing.T) {
	r := start(t, regions("[limit]\nunlisted = 1\nslip = 1\nexempt = []\n"))
	truncated, _ := r.askOften(unlisted, saysUnlisted)
	if truncated == 0 {
		t.Error("a client of no network is not limited")
	}
	if got := r.metric(`pldns_rate_limited_total{action="truncated",limit="client",network=""}`); got != float64(truncated) {
		t.Errorf("counted are %v, of %d", got, truncated)
	}
	if got := says(r.ask("tcp", unlisted, "momenta-eun.database.windows.net", dns.TypeA)); got != saysUnlisted {
		t.Errorf("over TCP it is told %s", got)
	}
	if truncated, _ := r.askOften(europe, saysEurope); truncated > 0 {
		t.Errorf("a client of a network is told %d times to use TCP", truncated)
	}

	r.rewrite(regions("[limit]\nunlisted = 0\nlisted = 1\nslip = 1\nexempt = [\"127.0.1.2\"]\n"))
	if code := r.reload(); code != http.StatusOK {
		t.Fatalf("the reload answers %d", code)
	}
	if page := r.get("/api/networks"); strings.Count(page, `"limit": 1,`) != 3 {
		t.Errorf("/api/networks says %s", page)
	}
	if truncated, _ := r.askOften(unlisted, saysUnlisted); truncated > 0 {
		t.Error("a client of no network is limited without a limit")
	}
	if truncated, _ := r.askOften(europe, saysEurope); truncated == 0 {
		t.Error("a client of a network is not limited")
	}
	if truncated, _ := r.askOften("127.0.1.2", saysEurope); truncated > 0 {
		t.Error("an exempt client is limited")
	}
	if got := says(r.ask("tcp", europe, "momenta-eun.database.windows.net", dns.TypeA)); got != saysEurope {
		t.Errorf("over TCP it is told %s", got)
	}
}

// The same reply over and over is no weapon: a client of a network is soon told to come
// over TCP for it, and what it asks besides is answered as ever.
func TestLimitOfResponses(t *testing.T) {
	r := start(t, regions("[limit]\nlisted = 0\nresponses = 1\nexempt = []\n"))
	truncated, answered := r.askOften(europe, saysEurope)
	if truncated == 0 || answered == 0 {
		t.Errorf("%d replies say to use TCP, %d are whole", truncated, answered)
	}
	if got := r.metric(`pldns_rate_limited_total{action="truncated",limit="responses",network="europe"}`); got != float64(truncated) {
		t.Errorf("counted are %v, of %d", got, truncated)
	}
	if got := says(r.ask("tcp", europe, "momenta-eun.database.windows.net", dns.TypeA)); got != saysEurope {
		t.Errorf("over TCP it is told %s", got)
	}
	if reply := r.ask("udp", europe, "momenta-aue.database.windows.net", dns.TypeA); reply.Truncated {
		t.Error("for another name it is told to use TCP")
	}
	r.rewrite(regions("[limit]\nlisted = 0\nresponses = 0\nexempt = []\n"))
	if code := r.reload(); code != http.StatusOK {
		t.Fatalf("the reload answers %d", code)
	}
	if truncated, _ := r.askOften(europe, saysEurope); truncated > 0 {
		t.Error("without a limit, it is limited")
	}
}

// Without a word in the configuration nobody notices limits who asks as people do, nor
// anybody on this host; a stranger from elsewhere does.
func TestDefaultLimit(t *testing.T) {
	r := start(t, regions("[trust]\nproxy_protocol = [\"127.0.0.9/32\"]\n"))
	for from, want := range map[string]string{europe: saysEurope, unlisted: saysUnlisted} {
		if truncated, _ := r.askOften(from, want); truncated > 0 {
			t.Errorf("%s is told %d times to use TCP", from, truncated)
		}
	}
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP("127.0.0.9")}, net.UDPAddrFromAddrPort(r.addrs[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	from, to := &net.UDPAddr{IP: net.ParseIP("203.0.113.7"), Port: 4000}, &net.UDPAddr{IP: net.ParseIP("203.0.113.1"), Port: 53}
	head, err := (&proxyproto.Header{Version: 2, Command: proxyproto.PROXY, TransportProtocol: proxyproto.UDPv4, SourceAddr: from, DestinationAddr: to}).Format()
	if err != nil {
		t.Fatal(err)
	}
	packet, err := new(dns.Msg).SetQuestion("momenta-eun.database.windows.net.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	resolvertest.Until(t, "a stranger is limited", func() bool {
		for range 100 {
			if _, err := conn.Write(append(head, packet...)); err != nil {
				t.Fatal(err)
			}
		}
		page := r.get("/metrics")
		return strings.Contains(page, `pldns_rate_limited_total{action="dropped",limit="client",network=""}`) &&
			strings.Contains(page, `pldns_rate_limited_total{action="truncated",limit="client",network=""}`)
	})
	for _, action := range []string{"dropped", "truncated"} {
		if strings.Contains(r.get("/metrics"), `pldns_rate_limited_total{action="`+action+`",network="europe"}`) {
			t.Error("a network was limited")
		}
	}
}
