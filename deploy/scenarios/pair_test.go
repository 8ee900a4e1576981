//go:build linux

package scenarios

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"pldns/deploy/scenarios/lab"
	"pldns/deploy/scenarios/tally"
)

const pairConfig = `
[listen]
dns = [":53"]
[networks.site]
clients = ["192.168.10.0/24"]
[networks.site.endpoints]
"mydb.database.windows.net" = "10.0.1.4"
[limit]
responses = 0
`

// shared is the address that clients of the pair ask.
const shared = "192.168.10.53"

// member is one machine of a pair: pldns, and keepalived with the file that is shipped.
type member struct {
	l       *lab.Lab
	host    *lab.Host
	config  string
	told    string // the file that says whether pldns is stopped
	process *lab.Process
	vrrp    *lab.Process // keepalived
}

// newMember builds a machine that has an address and the other one's.
func newMember(t *testing.T, l *lab.Lab, site *lab.Host, name, own, other string) *member {
	t.Helper()
	m := &member{l: l, host: l.Host(name), config: l.File("pair.toml", pairConfig)}
	site.Plug(m.host, own+"/24")
	m.told = l.File(name+"/pldns-stopped", "0\n")
	m.start()
	shipped := shippedFile(t, "keepalived.conf")
	const addresses = "unicast_src_ip 192.168.10.51\n\tunicast_peer {\n\t\t192.168.10.52\n"
	if !strings.Contains(shipped, addresses) {
		t.Fatal("keepalived.conf does not have the addresses that this knows")
	}
	text := strings.NewReplacer(addresses, fmt.Sprintf("unicast_src_ip %s\n\tunicast_peer {\n\t\t%s\n", own, other),
		"/usr/local/bin/pldns", lab.Program("pldns"), "/run/pldns-stopped", m.told,
		"\tenable_script_security\n", "").Replace(shipped) // which takes no program below /tmp
	file := l.File(name+"/keepalived.conf", text)
	m.vrrp = m.host.Start("keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file", file,
		"--pid", l.Dir+"/"+name+"/pid", "--vrrp_pid", l.Dir+"/"+name+"/vrrp.pid")
	return m
}

func shippedFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../fleet/keepalived/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// start starts pldns, as the unit does.
func (m *member) start() {
	m.process = m.host.Pldns(m.config)
	m.l.File(m.host.Name+"/pldns-stopped", "0\n") // what ExecStartPost= does
}

// kill kills pldns, after which the unit's ExecStopPost= is run.
func (m *member) kill(t *testing.T) {
	t.Helper()
	m.process.Kill()
	m.does(t, "ExecStopPost")
}

// stop stops pldns as systemd does: ExecStop=, SIGTERM, ExecStopPost=.
func (m *member) stop(t *testing.T) {
	t.Helper()
	m.does(t, "ExecStop")
	m.process.Stop()
	m.does(t, "ExecStopPost")
}

// does does what the unit says.
func (m *member) does(t *testing.T, key string) {
	t.Helper()
	command := regexp.MustCompile(`(?m)^` + key + `=\+/bin/sh -c '(.*)'$`).FindStringSubmatch(shippedFile(t, "service.conf"))
	if command == nil {
		t.Fatalf("service.conf has no %s=", key)
	}
	m.host.Run("sh", "-c", strings.ReplaceAll(command[1], "/run/pldns-stopped", m.told))
}

// has tells whether the shared address is on the machine.
func (m *member) has() bool {
	got, err := m.host.Try("ip", "-brief", "address", "show", "dev", "eth0")
	return err == nil && strings.Contains(got, shared)
}

var priority = regexp.MustCompile(`effective priority from \d+ to (\d+)`)

// well tells whether keepalived holds the machine for as good as the other one.
func (m *member) well() bool {
	all := priority.FindAllStringSubmatch(m.vrrp.Log(), -1)
	return len(all) == 0 || all[len(all)-1][1] == "100"
}

// Two machines on premises share one address. Whatever happens to the one that has it, the
// other answers at it; what fails for longer than its clients try is lost, and fails the
// test. How long it took is printed.
func TestPairWithOneAddress(t *testing.T) {
	l := lab.New(t, "keepalived")
	site := l.Switch("site", "192.168.10.1/24")
	one, two := newMember(t, l, site, "one", "192.168.10.51", "192.168.10.52"), newMember(t, l, site, "two", "192.168.10.52", "192.168.10.51")
	user := l.Host("client")
	site.Plug(user, "192.168.10.7/24")
	l.Until("one of the machines has the address", func() bool { return one.has() != two.has() })
	questions, err := json.Marshal([]tally.Question{{Kind: "mapped", Name: "mydb.database.windows.net.", Type: "A", Weight: 1,
		Answers: []string{"mydb.privatelink.database.windows.net. 10.0.1.4"}}})
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{t: t, l: l, user: user, questions: l.File("pair.json", string(questions)), one: one, two: two}
	for _, strike := range []struct {
		what         string
		strike, mend func(*member)
	}{
		{"pldns is killed", func(m *member) { m.kill(t) }, (*member).start},
		{"pldns is stopped by systemd", func(m *member) { m.stop(t) }, (*member).start},
		{"pldns hangs (SIGSTOP)", func(m *member) { m.process.Signal(syscall.SIGSTOP) }, func(m *member) { m.process.Signal(syscall.SIGCONT) }},
		{"the machine is cut off", func(m *member) { m.host.Unplug() }, func(m *member) { m.host.Replug() }},
	} {
		p.during(strike.what, strike.strike, strike.mend)
	}
}

// pair is both machines and who asks them.
type pair struct {
	t         *testing.T
	l         *lab.Lab
	user      *lab.Host
	questions string
	one, two  *member
}

// during strikes the machine that has the address while clients ask, and mends it when the
// other has it.
func (p *pair) during(what string, strike, mend func(*member)) {
	p.t.Helper()
	struck, other := p.one, p.two
	if p.two.has() {
		struck, other = p.two, p.one
	}
	load := p.user.Play("load", "-servers", shared+":53", "-questions", p.questions, "-rate", "1000", "-timeout", "100ms", "-rounds", "100")
	<-time.After(500 * time.Millisecond) // of load before it
	at := time.Now().UnixNano()
	strike(struck)
	p.l.Until("the other machine has the address", other.has)
	mend(struck)
	p.l.Until("one machine has the address, and it answers", func() bool {
		_, err := p.user.TryPlay("ask", "-server", shared+":53", "mydb.database.windows.net", "A")
		return err == nil && p.one.has() != p.two.has() && p.one.well() && p.two.well()
	})
	count := noneLost(p.t, what, load)
	total := count.Total()
	trouble := "none"
	if count.Disturbed.Times > 0 {
		trouble = since(at, count.Disturbed.Last)
	}
	p.t.Logf("%s: of %d queries %d were tried again, the last of them was asked after %s; the slowest took %s",
		what, total.Asked, total.Retried, trouble, count.Slowest.Round(time.Millisecond))
}
