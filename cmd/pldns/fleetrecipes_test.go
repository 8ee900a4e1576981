//go:build unix

package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pldns/config/store/storetest"
	"pldns/resolver/resolvertest"
)

// recipes are the commands of deploy/fleet/etcd.md, each done on machines that are folders:
// their addresses are of this machine, on a network of loopback that is this test's own.
type recipes struct {
	t        *testing.T
	page     string
	work     string   // where the commands are run
	net      string   // begins all addresses
	env      []string // what export added
	machines map[string]*etcdMachine
}

// etcdMachine is one that runs a member as systemd does.
type etcdMachine struct {
	r                   *recipes
	name, address, root string
	member              *storetest.Member // nil before its first start
}

func newRecipes(t *testing.T) *recipes {
	t.Helper()
	storetest.Needs(t, "etcd", "etcdctl", "openssl")
	page, err := os.ReadFile("../../deploy/fleet/etcd.md")
	if err != nil {
		t.Fatal(err)
	}
	r := &recipes{t: t, page: string(page), work: t.TempDir(), net: fmt.Sprintf("127.%d.", 1+os.Getpid()%250), machines: make(map[string]*etcdMachine)}
	for i := range 3 {
		name := fmt.Sprintf("etcd-%d", i+1)
		m := &etcdMachine{r: r, name: name, address: fmt.Sprintf("%s%d.7", r.net, i), root: filepath.Join(r.work, "machines", name)}
		for _, folder := range []string{"etc", "systemd", "var"} {
			if err := os.MkdirAll(filepath.Join(m.root, folder), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		r.machines[name] = m
	}
	return r
}

// commands are the lines of a section that are indented, in the blocks that have all of
// these words.
func (r *recipes) commands(section string, words ...string) (lines []string) {
	r.t.Helper()
	_, text, found := strings.Cut(r.page, "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	for _, block := range regexp.MustCompile(`(?m)(?:^(?:    .*)?\n)+`).FindAllString(text, -1) {
		for _, word := range words {
			if !strings.Contains(block, word) {
				block = ""
			}
		}
		if block = strings.TrimSpace(block); block != "" {
			lines = append(lines, strings.Split(block, "\n")...)
		}
	}
	if !found || len(lines) == 0 {
		r.t.Fatalf("the page has no commands about %s", section)
	}
	return lines
}

// do runs commands; export holds for those of later calls, too. paths are old and new ones.
func (r *recipes) do(lines []string, paths ...string) (string, error) {
	r.t.Helper()
	deploy, err := filepath.Abs("../../deploy")
	if err != nil {
		r.t.Fatal(err)
	}
	there := strings.NewReplacer(append(paths, "deploy/fleet/", deploy+"/fleet/", "10.0.", r.net)...)
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if assigned, is := strings.CutPrefix(line, "export "); is {
			r.env = append(r.env, strings.Fields(there.Replace(assigned))...)
		}
	}
	command := exec.CommandContext(r.t.Context(), "sh", "-euc", there.Replace(strings.Join(lines, "\n")))
	command.Dir, command.Env = r.work, append(os.Environ(), r.env...)
	out, err := command.CombinedOutput()
	return string(out), err
}

// must is do, for what has to work.
func (r *recipes) must(lines []string, paths ...string) {
	r.t.Helper()
	if out, err := r.do(lines, paths...); err != nil {
		r.t.Fatalf("%s\n%v\n%s", strings.Join(lines, "\n"), err, out[max(0, len(out)-2000):])
	}
}

// do does commands on a machine: systemd and the owners of files are those of the test.
func (m *etcdMachine) do(lines []string) {
	m.r.t.Helper()
	var shell []string
	flush := func() {
		m.r.must(shell, "fleet/etcd-1.", "fleet/"+m.name+".", "/etc/pldns-etcd", m.root+"/etc", "/var/lib/pldns-etcd", m.root+"/var",
			"/etc/systemd/system", m.root+"/systemd")
		shell = nil
	}
	for _, line := range lines {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "systemctl stop"):
			m.member.Kill()
		case strings.HasPrefix(line, "systemctl") && strings.Contains(line, "pldns-etcd"):
			flush()
			m.start()
		case !strings.HasPrefix(line, "systemctl") && !strings.HasPrefix(line, "chown"):
			shell = append(shell, line)
		}
	}
	flush()
}

// identify says in the file of its settings which machine it is.
func (m *etcdMachine) identify() {
	m.r.t.Helper()
	file := filepath.Join(m.root, "etc/env")
	text := m.r.read(file)
	for key, value := range map[string]string{"NAME": m.name, "ADDRESS": m.address} {
		text = regexp.MustCompile(`(?m)^`+key+`=.*$`).ReplaceAllLiteralString(text, key+"="+value)
	}
	m.r.write(file, strings.ReplaceAll(text, "10.0.", m.r.net))
}

// start runs the command of the unit with the settings of the machine.
func (m *etcdMachine) start() {
	m.r.t.Helper()
	settings := make(map[string]string)
	for line := range strings.Lines(m.r.read(filepath.Join(m.root, "etc/env"))) {
		if key, value, is := strings.Cut(strings.TrimSpace(line), "="); is && !strings.HasPrefix(key, "#") {
			settings[key] = value
		}
	}
	unit := strings.ReplaceAll(m.r.read(filepath.Join(m.root, "systemd/pldns-etcd.service")), "\\\n", " ")
	line := regexp.MustCompile(`(?m)^ExecStart=/usr/bin/etcd (.*)$`).FindStringSubmatch(unit)
	if line == nil {
		m.r.t.Fatal("the unit starts no etcd")
	}
	args := os.Expand(line[1], func(key string) string { return settings[key] })
	args = strings.NewReplacer("/etc/pldns-etcd", m.root+"/etc", "%d", m.root+"/etc", "/var/lib/pldns-etcd", m.root+"/var",
		"http://127.0.0.1:2381", "http://"+m.address+":2381").Replace(args)
	if m.member != nil {
		m.member.Kill()
	}
	m.member = storetest.Started(m.r.t, m.name, "https://"+m.address+":2379", strings.Fields(args)...)
}

func (r *recipes) read(file string) string {
	r.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

func (r *recipes) write(file, text string) {
	r.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// healthy waits until all members that are asked answer.
func (r *recipes) healthy() {
	r.t.Helper()
	var said string
	r.t.Cleanup(func() {
		if r.t.Failed() {
			r.t.Log(said)
		}
		for _, m := range r.machines {
			if r.t.Failed() && m.member != nil {
				r.t.Logf("%s wrote:\n%s", m.name, m.member.Log()[max(0, len(m.member.Log())-2000):])
			}
		}
	})
	resolvertest.Until(r.t, "etcd is healthy", func() bool {
		var err error
		said, err = r.do([]string{"etcdctl endpoint health"})
		return err == nil
	})
}

// as is what [store] says to show etcd the certificate of a user.
func (r *recipes) as(user string) string {
	var members []string
	for i := range 3 {
		members = append(members, fmt.Sprintf("%q", fmt.Sprintf("https://%s%d.7:2379", r.net, i)))
	}
	file := func(name string) string { return filepath.Join(r.work, "fleet", name) }
	return fmt.Sprintf("[store]\netcd = [%s]\nca = %q\ncert = %q\nkey = %q\n",
		strings.Join(members, ", "), file("ca.pem"), file(user+".pem"), file(user+".key"))
}

// The page about etcd is true: with its certificates, units and roles a fleet is pushed to
// and served, nobody may do more than he should, and a backup is restored.
func TestEtcdRecipes(t *testing.T) {
	if testing.Short() {
		t.Skip("clusters of etcd are built and lost: left out under -short")
	}
	r := newRecipes(t)
	// A member's certificate has to have the address that it comes from, which is here the
	// first one of loopback.
	r.must(r.commands("Certificates"), ".7\n", ".7 127.0.0.1\n", "10.0.", r.net)
	for _, m := range r.machines {
		lines := r.commands("Members", "install")
		m.do(lines[:len(lines)-2])
		m.identify()
		m.do(lines[len(lines)-2:])
	}
	desk := r.commands("Members", "etcdctl")
	r.must(desk[:3])
	r.healthy()
	r.must(desk)
	r.must(r.commands("Roles"))

	f := newFleetOf(t, "")
	f.store = r.as("anna")
	first := f.push(hub("10.0.1.4", ""))
	machine := filepath.Join(r.work, "machines/hub-1")
	if err := os.MkdirAll(machine, 0o700); err != nil {
		t.Fatal(err)
	}
	install := r.commands("Instances and people", "install")
	r.must(install[:len(install)-2], "/etc/pldns", machine, "/etc/systemd/system", machine)
	f.store = r.as("hub-1")
	for kind, installed := range map[string]string{"cert": "store.pem", "key": "store.key", "ca": "ca.pem"} {
		f.store = regexp.MustCompile(`(?m)^`+kind+` = .*$`).ReplaceAllLiteralString(f.store, fmt.Sprintf("%s = %q", kind, machine+"/"+installed))
	}
	instance := start(t, f.machine("hub-1", ""))
	instance.told(t, "10.0.1.4")
	instance.well(t)
	f.write(hub("10.0.1.9", ""))
	if code, _, talk := f.run("push"); code != exitNo || !strings.Contains(talk, "give its user a role") {
		t.Errorf("an instance that pushes: %d %s", code, talk)
	}
	f.store = r.as("hub-2")
	f.write(hub("10.0.1.4", ""))
	resolvertest.Until(t, "the fleet is at the release", func() bool { code, _, _ := f.run("fleet"); return code == exitFine })
	for user, key := range map[string]string{"hub-2": "/pldns/instances/hub-1", "hub-1": "/pldns/channels/stable", "anna": "/pldns/instances/hub-1"} {
		out, err := r.do([]string{fmt.Sprintf("ETCDCTL_CERT=fleet/%[1]s.pem ETCDCTL_KEY=fleet/%[1]s.key etcdctl put %[2]s x", user, key)})
		if err == nil || !strings.Contains(out, "permission denied") {
			t.Errorf("%s writes %s: %s %v", user, key, out, err)
		}
	}
	if out, err := r.do([]string{"unset ETCDCTL_CERT ETCDCTL_KEY", "etcdctl get --prefix /pldns/"}); err == nil {
		t.Errorf("somebody without a certificate reads: %s", out)
	}

	r.backup(f, instance, first)
}

// backup takes a backup, loses members and data, and has all of it back.
func (r *recipes) backup(f *fleetOf, instance *running, first string) {
	t := r.t
	r.must(r.commands("Backup"))
	f.store = r.as("anna")
	f.push(hub("10.0.1.5", ""))
	instance.told(t, "10.0.1.5")
	for _, m := range r.machines {
		m.member.Kill()
	}
	for _, m := range r.machines {
		m.do(r.commands("Restore"))
	}
	r.healthy()
	if code, out, talk := f.run("history"); code != exitFine || !strings.Contains(out, first[:8]) || strings.Count(strings.TrimSpace(out), "\n") > 1 {
		t.Errorf("the history after the restore: %d %s%s", code, out, talk)
	}
	lost := r.machines["etcd-3"]
	lost.member.Kill()
	if err := os.RemoveAll(filepath.Join(lost.root, "var/data")); err != nil {
		t.Fatal(err)
	}
	replace := r.commands("Replace a member", "etcdctl")
	// For 5 s after it has started, etcd changes no members; and an election may be under way.
	resolvertest.Until(t, "the member is removed", func() bool {
		_, _ = r.do(replace[:1])
		list, err := r.do([]string{"etcdctl member list"})
		return err == nil && !strings.Contains(list, "etcd-3")
	})
	resolvertest.Until(t, "etcd takes a new member", func() bool { _, err := r.do(replace[1:]); return err == nil })
	lost.do(r.commands("Replace a member", "systemctl"))
	r.healthy()
	r.must(r.commands("When it is full"))
	f.push(hub("10.0.1.6", ""), "--base", first)
	instance.told(t, "10.0.1.6")
	instance.well(t)
}

// What a fleet on etcd serves is written into a folder for those that follow a URL, again
// and again, and is the same release there.
func TestFolderOfAFleet(t *testing.T) {
	f, _ := etcdFleet(t, 1)
	public := t.TempDir()
	server := httptest.NewServer(http.FileServer(http.Dir(public)))
	defer server.Close()
	edge := newFleetOf(t, fmt.Sprintf("url = %q\nevery = \"1s\"", server.URL))
	var r *running
	for _, address := range []string{"10.0.1.4", "10.0.1.5"} {
		id := f.push(hub(address, ""))
		pulled := filepath.Join(t.TempDir(), "pulled")
		if code, _, talk := f.run("pull", "--into", pulled); code != exitFine {
			t.Fatalf("pull ends with %d: %s", code, talk)
		}
		var out bytes.Buffer
		if code := run(t.Context(), []string{"push", "-c", filepath.Join(pulled, "fleet.toml"), "--to", public}, &out, &out); code != exitFine ||
			!strings.Contains(out.String(), id[:8]) {
			t.Fatalf("push --to ends with %d: %s, and the release is %s", code, out.String(), id)
		}
		if r == nil {
			r = start(t, edge.machine("edge-1", ""))
		}
		r.told(t, address)
	}
}
