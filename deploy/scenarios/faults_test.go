//go:build linux

package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pldns/deploy/scenarios/lab"
)

// What fails while two pldns serve both regions, one after the other. For each it
// is counted, and printed as a table, what the clients of the load saw.
//
// PLDNS_E2E_HOLD is how long each fault lasts, 2s by default. Times are printed and
// never judged: what must hold on every machine is that no answer is wrong, and
// that none is lost where another instance or an earlier answer can stand in.
func TestFaultsWhileServing(t *testing.T) {
	f := newFaults(t)
	defer f.print()
	f.calibrate()
	f.during("nothing fails", everything(), func() {}, nil)
	f.during("one of two instances is killed", everything(), f.instances[0].process.Kill, f.instances[0].start)
	f.during("one of two instances is cut off", everything(), f.instances[0].host.Unplug, f.instances[0].host.Replug)
	f.during("the upstream is cut off", known(), f.n.dns.Unplug, f.n.dns.Replug)
	f.during("the upstream is stopped (SIGSTOP)", known(),
		func() { f.n.resolver.Signal(syscall.SIGSTOP) }, func() { f.n.resolver.Signal(syscall.SIGCONT) })
	f.endpointCut()
	f.during("the binary is replaced, one instance after the other", everything(), f.replaceBinary, nil)
	f.configChanges()
	f.during("a config that is cut off in the middle", everything(), func() { f.configure(f.torn()) },
		func() { f.configure(f.text("10.0.1.5")) })
	f.diskFull()
	f.clockSteps()
}

// everything are all kinds of questions, and known those that can be answered
// without asking anybody: mapped names, and names that were asked before.
func everything() []string { return []string{"mapped", "remembered", "new"} }
func known() []string      { return []string{"mapped", "remembered"} }

// endpointCut takes the first of two endpoints of one database away. It is probed,
// so its clients are sent to the second one, and back.
func (f *faults) endpointCut() {
	first, second := eunPrivate+". 10.0.1.4", eunPrivate+". 10.0.1.6"
	row := f.during("an endpoint is cut off, of two that are probed", everything(),
		func() {
			f.one.eun.Unplug()
			f.answered("10.0.1.6")
		},
		func() {
			f.one.eun.Replug()
			f.answered("10.0.1.4")
		})
	for _, server := range f.servers() {
		if span := row.tally.Seen[server+" "+second]; span == nil {
			f.t.Errorf("%s never gives the second endpoint", server)
		} else if row.Note == "" {
			row.Note = fmt.Sprintf("second endpoint after %s", since(row.struck, span.First))
		}
	}
	if span := row.tally.Seen[f.servers()[0]+" "+first]; span != nil && row.mended != 0 {
		row.Note += fmt.Sprintf(", first again after its return %s", since(row.mended, f.backAt.UnixNano()))
	}
}

// answered waits until all instances answer the Europeans with an address of
// momenta-eun.
func (f *faults) answered(address string) {
	for _, server := range f.servers() {
		f.n.lab.Until(server+" answers with "+address, func() bool {
			got, err := f.one.client.TryPlay("ask", "-server", server, eun, "A")
			return err == nil && strings.Contains(got, address)
		})
	}
	f.backAt = time.Now()
}

// replaceBinary puts a new file in the place of the program, and restarts one
// instance after the other, as a service manager does: SIGTERM, wait, start.
func (f *faults) replaceBinary() {
	f.install()
	for _, one := range f.instances {
		one.process.Stop()
		one.start()
	}
}

// install puts the program where it is started from, as a new file.
func (f *faults) install() {
	f.t.Helper()
	program, err := os.ReadFile(lab.Program("pldns"))
	if err != nil {
		f.t.Fatal(err)
	}
	beside := f.program + ".new"
	for _, err := range []error{
		os.MkdirAll(filepath.Dir(f.program), 0o755), os.WriteFile(beside, program, 0o755), os.Rename(beside, f.program),
	} {
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

// configChanges moves an endpoint, in both ways a file is replaced: by rename, which
// the first instance is configured by, and by the swap of a link, as Kubernetes
// mounts a ConfigMap, which the second is.
func (f *faults) configChanges() {
	old, new := auePrivate+". 10.0.1.5", auePrivate+". 10.0.1.7"
	for i, way := range []string{"the config is replaced by rename", "the config is replaced by a swapped link (Kubernetes)"} {
		one := f.instances[i]
		row := f.during(way, everything(), func() { one.configure(f.text("10.0.1.7")) }, nil)
		server := f.servers()[i]
		taken, last := row.tally.Seen[server+" "+new], row.tally.Seen[server+" "+old]
		if taken == nil {
			f.t.Errorf("%s: the new address is never given", way)
			continue
		}
		row.Note = fmt.Sprintf("first new answer after %s, last old one after %s", since(row.struck, taken.First), since(row.struck, last.Last))
		one.configure(f.text("10.0.1.5"))
	}
}

// diskFull fills the file system that has the config and the log of an instance,
// writes a new config, which fails, and makes room again.
func (f *faults) diskFull() {
	one := f.instances[0]
	one.process.Stop()
	dir := filepath.Join(f.n.lab.Dir, "disk")
	if err := os.Mkdir(dir, 0o755); err != nil {
		f.t.Fatal(err)
	}
	// The host's own mount: nobody else sees it, and it is gone with the process.
	one.process = one.host.Serving("sh", "-c", fmt.Sprintf("mount -t tmpfs -o size=256k tmpfs %[1]s && cp %[2]s %[1]s/pldns.toml && exec %[3]s serve -c %[1]s/pldns.toml 2>>%[1]s/log",
		dir, one.file, f.program))
	inside := fmt.Sprintf("/proc/%d/root%s/", one.process.ID(), dir)
	write := func(name, text string) error { return os.WriteFile(inside+name, []byte(text), 0o644) }
	full := func() {
		if err := write("ballast", strings.Repeat("x", 1<<20)); err == nil {
			f.t.Error("the disk is not full")
		}
		if err := write("pldns.toml.new", f.text("10.0.1.7")); err == nil {
			f.t.Error("there is room for a new config on a full disk")
		}
		one.process.Signal(syscall.SIGHUP) // reads the config, and writes to the log
	}
	f.during("the disk with config and log is full", everything(), full, func() {
		for _, err := range []error{os.Remove(inside + "ballast"), write("pldns.toml.new", f.text("10.0.1.7")),
			os.Rename(inside+"pldns.toml.new", inside+"pldns.toml")} {
			if err != nil {
				f.t.Error(err)
			}
		}
		f.n.lab.Until("the config is read that was written when there was room again", func() bool {
			got, err := f.one.client.TryPlay("ask", "-server", f.servers()[0], aue, "A")
			return err == nil && strings.Contains(got, "10.0.1.7")
		})
	})
	one.process.Stop()
	one.start()
}

// clockSteps sets the clock of an instance, forth and back.
func (f *faults) clockSteps() {
	clock, one := f.n.lab.Clock(), f.instances[0]
	one.process.Stop()
	one.process = clock.Pldns(one.host, one.file)
	f.during("the clock steps: an hour ahead, a day back, 400 days ahead", everything(), func() {
		for _, by := range []time.Duration{time.Hour, -24 * time.Hour, 400 * 24 * time.Hour} {
			clock.Set(by)
			f.wait(f.hold / 2)
		}
	}, func() { clock.Set(0) })
	one.process.Stop()
	one.start()
}

// faults is the topology of two regions with two pldns in Europe, which serve both.
type faults struct {
	t         *testing.T
	n         *internet
	one, two  *region
	clients   []*lab.Host // a VPN client in Europe, and a machine in Australia
	questions []string    // files, of the clients
	instances []*instance
	program   string // of the instances
	rate      int    // of the load, in queries a second
	hold      time.Duration
	backAt    time.Time
	rows      []*row
}

// instance is one of two pldns.
type instance struct {
	host      *lab.Host
	file      string
	process   *lab.Process
	start     func()
	configure func(text string)
}

func newFaults(t *testing.T) *faults {
	l := lab.New(t)
	f := &faults{t: t, n: newInternet(l, "*.bulk.contoso.com. 60 IN A 203.0.113.82", "short.contoso.com. 1 IN A 203.0.113.81"),
		rate: 2000, hold: holdFor(t, 2*time.Second), program: filepath.Join(l.Dir, "bin", "pldns")}
	f.one, f.two = newRegions(t, f.n)
	spare := l.Host("spare endpoint")
	f.one.vnet.Plug(spare, "10.0.1.6/16")
	spare.Site("10.0.1.6:1433", "the spare endpoint", f.n.authority.Issue("*.database.windows.net"))
	machine := l.Host("machine in australia")
	f.two.vnet.Plug(machine, "10.1.0.7/16")
	f.clients = []*lab.Host{f.one.client.Host, machine}
	f.questions = []string{l.File("europe.json", f.askedIn(europe())), l.File("australia.json", f.askedIn(australia()))}

	f.install()
	f.instances = []*instance{f.renamed(f.one.resolvers[0]), f.mounted(f.one.resolvers[1])}
	for _, one := range f.instances {
		one.start()
	}
	return f
}

// renamed is an instance whose config is replaced by rename.
func (f *faults) renamed(h *lab.Host) *instance {
	i := &instance{host: h, file: f.n.lab.File("one/pldns.toml", f.text("10.0.1.5"))}
	i.configure = func(text string) { f.n.lab.Replace(i.file, text) }
	i.start = func() { i.process = h.Serving(f.program, "serve", "-c", i.file) }
	return i
}

// mounted is an instance whose config is mounted as Kubernetes does.
func (f *faults) mounted(h *lab.Host) *instance {
	dir := filepath.Join(f.n.lab.Dir, "two")
	i := &instance{host: h, file: f.n.lab.Mounted(dir, "pldns.toml", f.text("10.0.1.5"))}
	i.configure = func(text string) { f.n.lab.Mounted(dir, "pldns.toml", text) }
	i.start = func() { i.process = h.Serving(f.program, "serve", "-c", i.file) }
	return i
}

// configure gives a config to all instances.
func (f *faults) configure(text string) {
	for _, one := range f.instances {
		one.configure(text)
	}
}

// text is the config, with one of the endpoints at the given address. Each of its few
// clients asks for all of a region, the same names hundreds of times a second.
func (f *faults) text(address string) string {
	return strings.NewReplacer(
		`"momenta-eun.database.windows.net" = "10.0.1.4"`,
		`"momenta-eun.database.windows.net" = { addresses = ["10.0.1.4", "10.0.1.6"], probe = "tcp:1433" }`,
		`"10.0.1.5"`, `"`+address+`"`).Replace(regionsConfig) + "\n[probe]\ninterval = \"500ms\"\ntimeout = \"400ms\"\n\n[limit]\nresponses = 0\n"
}

// torn is a config that ends within a line, as a writer leaves it that is killed.
func (f *faults) torn() string {
	text := f.text("10.0.1.7")
	return text[:strings.LastIndex(text, "momenta-aue")+len("momenta")]
}

// servers are the addresses that the clients list.
func (f *faults) servers() []string { return []string{"10.0.0.4:53", "10.0.0.5:53"} }
