//go:build linux

package scenarios

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pldns/deploy/scenarios/lab"
	"pldns/deploy/scenarios/tally"
)

// partitioned is a fleet of one instance, its store on three machines, somebody who pushes,
// and a client of the instance, which reaches it by a line of its own.
type partitioned struct {
	l                   *lab.Lab
	members             []*lab.Host
	hub, pusher, client *lab.Host
	store               string // the table [store]
}

func newPartitioned(t *testing.T) *partitioned {
	t.Helper()
	l := lab.New(t, "etcd", "curl")
	p := &partitioned{l: l, hub: l.Host("hub"), pusher: l.Host("pusher"), client: l.Host("client")}
	core := l.Switch("core", "192.168.20.254/24")
	var cluster, urls []string
	for i := range 3 {
		m := l.Host(fmt.Sprintf("etcd%d", i))
		core.Plug(m, fmt.Sprintf("192.168.20.%d/24", i+1))
		p.members = append(p.members, m)
		cluster = append(cluster, fmt.Sprintf("m%d=http://192.168.20.%d:2380", i, i+1))
		urls = append(urls, fmt.Sprintf("http://192.168.20.%d:2379", i+1))
	}
	for i, m := range p.members {
		peer := fmt.Sprintf("http://192.168.20.%d:2380", i+1)
		m.Start("etcd", "--name", fmt.Sprintf("m%d", i), "--data-dir", fmt.Sprintf("%s/m%d", l.Dir, i),
			"--listen-client-urls", urls[i], "--advertise-client-urls", urls[i],
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", strings.Join(cluster, ","),
			"--initial-cluster-state", "new", "--log-level", "error", "--heartbeat-interval", "50", "--election-timeout", "500")
	}
	core.Plug(p.hub, "192.168.20.10/24")
	core.Plug(p.pusher, "192.168.20.20/24")
	p.client.Link("users", "10.1.0.7/24", p.hub, "users", "10.1.0.53/24")
	p.store = fmt.Sprintf("[store]\netcd = [%q, %q, %q]\n", urls[0], urls[1], urls[2])
	l.Until("the store takes a release", func() bool { return p.push("10.0.1.4") == nil })
	p.hub.Pldns(l.File("hub.toml", "[listen]\ndns = [\":53\"]\n[limit]\nresponses = 0\n"+p.store+
		fmt.Sprintf("state = %q\nname = \"hub\"\n", l.Dir+"/hub-state")))
	return p
}

// push pushes a release in which one name has an address, and another what it always had.
func (p *partitioned) push(address string) error {
	file := p.l.File("push/fleet.toml", p.store+fmt.Sprintf(`state = "none"
[networks.hub]
clients = ["10.1.0.0/24"]
[networks.hub.endpoints]
"mydb.database.windows.net" = %q
"steady.database.windows.net" = "10.0.1.9"
`, address))
	_, err := p.pusher.TryPldns("push", "--allow-warnings", "-c", file) // of connections without TLS
	return err
}

// served tells whether the client is told an address.
func (p *partitioned) served(address string) bool {
	got, err := p.client.TryPlay("ask", "-server", hubAddress, "mydb.database.windows.net", "A")
	return err == nil && strings.HasSuffix(strings.TrimSpace(got), "\t"+address)
}

// says is what /readyz of the instance has against its store.
func (p *partitioned) says() (faults int) {
	text, err := p.hub.Try("curl", "-s", "http://127.0.0.1:8053/readyz")
	var status struct {
		Store struct{ Faults []struct{ Text string } }
	}
	if err != nil || json.Unmarshal([]byte(text), &status) != nil {
		return -1
	}
	return len(status.Store.Faults)
}

// away refuses everything from and to addresses, until the host lets them in again.
func away(h *lab.Host, addresses string) (again func()) {
	h.Firewall("table ip away {\n\tchain in {\n\t\ttype filter hook input priority 0\n\t\tip saddr { " + addresses + " } drop\n\t}\n" +
		"\tchain out {\n\t\ttype filter hook output priority 0\n\t\tip daddr { " + addresses + " } drop\n\t}\n}\n")
	return func() { h.Run("nft", "delete", "table", "ip", "away") }
}

// hubAddress is where the client asks the instance.
const hubAddress = "10.1.0.53:53"

// Whatever part of the network between an instance and its store is gone, it answers as
// before, and serves what was pushed meanwhile when it can be had.
func TestPartition(t *testing.T) {
	p := newPartitioned(t)
	p.l.Until("the first release is served", func() bool { return p.served("10.0.1.4") })
	questions, err := json.Marshal([]tally.Question{{Kind: "mapped", Name: "steady.database.windows.net.", Type: "A", Weight: 1,
		Answers: []string{"steady.privatelink.database.windows.net. 10.0.1.9"}}})
	if err != nil {
		t.Fatal(err)
	}
	load := p.client.Play("load", "-servers", hubAddress, "-questions", p.l.File("partition.json", string(questions)),
		"-rate", "500", "-timeout", "500ms", "-rounds", "10")

	p.members[0].Unplug()
	p.l.Until("a release is pushed while the first member is cut off", func() bool { return p.push("10.0.1.5") == nil })
	p.l.Until("it is served", func() bool { return p.served("10.0.1.5") })
	p.members[0].Replug()

	p.hub.Unplug()
	p.l.Until("the instance says that it is cut off", func() bool { return p.says() > 0 })
	p.l.Until("a release is pushed meanwhile", func() bool { return p.push("10.0.1.6") == nil })
	if !p.served("10.0.1.5") {
		t.Error("an instance that is cut off does not serve what it had")
	}
	p.hub.Replug()
	p.l.Until("what was pushed meanwhile is served", func() bool { return p.served("10.0.1.6") && p.says() == 0 })

	const others = "192.168.20.2, 192.168.20.3"
	undo := []func(){away(p.members[0], others), away(p.hub, others)}
	p.l.Until("the instance says that its member has lost the others", func() bool { return p.says() > 0 })
	p.l.Until("the others take a release", func() bool {
		for range 4 { // each may lose all of its time to the member that is cut off
			if p.push("10.0.1.7") == nil {
				return true
			}
		}
		return false
	})
	if !p.served("10.0.1.6") {
		t.Error("an instance whose member has lost the others does not serve what it had")
	}
	for _, heal := range undo {
		heal()
	}
	p.l.Until("what the others took is served", func() bool { return p.served("10.0.1.7") && p.says() == 0 })

	count := noneLost(t, "meanwhile", load)
	total := count.Total()
	t.Logf("of %d queries %d were tried again; the slowest took %s", total.Asked, total.Retried, count.Slowest.Round(time.Millisecond))
}
