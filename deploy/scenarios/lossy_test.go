//go:build linux

package scenarios

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pldns/deploy/scenarios/lab"
	"pldns/deploy/scenarios/tally"
)

// line is what is measured: one client that asks a server over one transport.
type line struct {
	server    string
	at        string
	process   *lab.Process
	transport string
}

// measured is what the rounds found for one line at one loss.
type measured struct {
	p50, p99 []time.Duration
	cpu      time.Duration
	answered int
}

// A client asks over connections that stay open, at a steady pace, while both ends lose
// packets: everything is answered. How long that takes, and how much of the server's
// processor, is printed as a table, beside dnsdist where it speaks the same.
//
// PLDNS_E2E_HOLD is how long each measurement takes, 500ms by default. From 5s on there are
// three rounds of all losses.
func TestLossyLine(t *testing.T) {
	e := newEncrypted(t)
	certificate := e.authority.Issue(resolverName, resolverAddr)
	user, lines := e.clients["10.0.1.4"], []line{}
	serving := e.serve(certificate)
	for _, transport := range []string{"dot", "doh", "doq", "h3"} {
		lines = append(lines, line{"pldns", resolverAddr, serving, transport})
	}
	lossy := []*lab.Host{user, e.resolver}
	if e.Has("dnsdist") {
		host, process := e.dnsdist(certificate)
		lines = append(lines, line{"dnsdist", "10.0.0.5", process, "dot"}, line{"dnsdist", "10.0.0.5", process, "doh"})
		lossy = append(lossy, host)
	}
	hold, losses, rounds := holdFor(t, 500*time.Millisecond), []int{0, 50}, 1
	if hold >= 5*time.Second {
		losses, rounds = []int{0, 10, 50}, 3
	}
	results := make(map[int]map[line]*measured)
	for range rounds {
		for _, perMille := range losses {
			for _, host := range lossy {
				host.Lose(perMille)
			}
			if results[perMille] == nil {
				results[perMille] = make(map[line]*measured)
			}
			for _, l := range lines {
				if results[perMille][l] == nil {
					results[perMille][l] = new(measured)
				}
				e.pace(user, l, perMille, hold, results[perMille][l])
			}
		}
	}
	fmt.Printf("| loss in each direction | server | transport | p50 | p99 | processor, for a query |\n|---|---|---|--:|--:|--:|\n")
	for _, perMille := range losses {
		for _, l := range lines {
			m := results[perMille][l]
			slices.Sort(m.p50)
			slices.Sort(m.p99)
			fmt.Printf("| %d %% | %s | %s | %.2f ms | %.1f ms | %d µs |\n", perMille/10, l.server, l.transport,
				m.p50[len(m.p50)/2].Seconds()*1000, m.p99[len(m.p99)/2].Seconds()*1000, m.cpu.Microseconds()/int64(m.answered))
		}
	}
}

// dnsdist is a server that speaks some of the same. It has the answer in its cache, and an
// upstream that no packet to is lost.
func (e *encrypted) dnsdist(certificate lab.Certificate) (*lab.Host, *lab.Process) {
	host := e.Host("dnsdist")
	e.hub.Plug(host, "10.0.0.5/16")
	host.Azure("127.0.0.1:53", eun+". 300 IN A 10.0.1.4")
	process := host.Start("dnsdist", "--supervised", "--disable-syslog", "-C", e.File("dnsdist.conf", fmt.Sprintf(`
setLocal("10.0.0.5:53")
addTLSLocal("10.0.0.5:853", %[1]q, %[2]q)
addDOHLocal("10.0.0.5:443", %[1]q, %[2]q, "/dns-query")
setACL({"10.0.0.0/8"})
setSecurityPollSuffix("")
newServer("127.0.0.1:53"):setUp()
getPool(""):setCache(newPacketCache(1000, {minTTL=60, maxTTL=60}))
`, certificate.Cert, certificate.Key)))
	e.Until("dnsdist answers", func() bool {
		_, err := host.TryPlay("ask", "-server", "10.0.0.5:53", eun, "A")
		return err == nil || process.Ended()
	})
	return host, process
}

// pace measures once.
func (e *encrypted) pace(user *lab.Host, l line, perMille int, hold time.Duration, into *measured) {
	e.t.Helper()
	before := l.process.CPU()
	text, err := user.TryPlay("pace", "-server", l.at+":"+portOf(l.transport), "-over", l.transport, "-name", resolverName,
		"-ca", e.authority.File, "-for", hold.String(), eun, "A")
	var paced tally.Paced
	if err == nil {
		err = json.Unmarshal([]byte(text), &paced)
	}
	lost := paced.Asked == 0 || paced.Answered < paced.Asked && l.server == "pldns"
	if err != nil || lost {
		e.t.Errorf("%s over %s, %d ‰ lost: %d of %d answered, %s, %v",
			l.server, l.transport, perMille, paced.Answered, paced.Asked, paced.Failure, err)
	}
	into.cpu += l.process.CPU() - before
	into.answered += max(paced.Answered, 1)
	into.p50, into.p99 = append(into.p50, paced.P50), append(into.p99, paced.P99)
}
