package validate_test

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// machine is one as apply.sh finds it: a folder instead of its file system, and programs
// that note what they are asked in place of those that would change something.
type machine struct {
	t    *testing.T
	root string
}

// programs stand in for those of the machine. $M is its folder.
var programs = map[string]string{
	"cloud-init": `exit 2`,
	"chown":      `:`,
	"sleep":      `:`,
	"openssl":    `echo 0123456789abcdef0123456789abcdef`,
	"systemctl":  `:`,
	"podman": `
case "$1 $2" in
"image exists") grep -qxF "$3" "$M/images" ;;
"pull -q") [ ! -e "$M/private" ] || [ -e "$M/login" ] || exit 1; [ ! -e "$M/away" ] || exit 1; echo "$3" >>"$M/images" ;;
login*) cat >"$M/login"; [ -s "$M/login" ] ;;
"run --rm") ! grep -q faulty "$M/etc/pldns/pldns.toml.new" ;;
"exec pldns") [ ! -e "$M/silent" ] ;;
esac`,
	"curl": `
case "$*" in
*169.254.169.254*) echo '{"access_token":"of+the+platform"}' ;;
*oauth2/exchange) grep -qxF 'grant_type=access_token&service=contoso.example&access_token=of%2Bthe%2Bplatform' && echo '{"refresh_token":"of-the-registry"}' ;;
*/-/reload) grep -qx 'Authorization: Bearer 0123456789abcdef0123456789abcdef' && [ ! -e "$M/refuses" ] ;;
esac`,
}

func newMachine(t *testing.T) machine {
	t.Helper()
	needs(t, "jq")
	m := machine{t, t.TempDir()}
	for _, folder := range []string{"bin", "etc/default"} {
		if err := os.MkdirAll(filepath.Join(m.root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, does := range programs {
		script := "#!/bin/sh\necho \"" + name + " $*\" >>\"$M/calls\"\n" + does + "\n"
		if err := os.WriteFile(filepath.Join(m.root, "bin", name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.write("images", "")
	return m
}

func (m machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.root, name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// apply runs the script with an image, the identity that pulls it, and a configuration;
// it gives what was asked of programs, what the script said, and whether it went well.
func (m machine) apply(image, puller, config string) (calls, said string, ok bool) {
	m.t.Helper()
	m.write("calls", "")
	script := strings.NewReplacer("@IMAGE@", image, "@PULLER@", puller, "@CONFIG@", base64.StdEncoding.EncodeToString([]byte(config)),
		" /etc/", " "+m.root+"/etc/", ">/etc/", ">"+m.root+"/etc/", " /var/", " "+m.root+"/var/").Replace(read(m.t, "../azure/apply.sh"))
	command := exec.Command("sh")
	command.Stdin = strings.NewReader(script)
	command.Env = append(os.Environ(), "M="+m.root, "PATH="+m.root+"/bin:"+os.Getenv("PATH"))
	out, err := command.CombinedOutput()
	return read(m.t, filepath.Join(m.root, "calls")), string(out), err == nil
}

func (m machine) serves(config string) {
	m.t.Helper()
	if got := read(m.t, filepath.Join(m.root, "etc/pldns/pldns.toml")); got != config {
		m.t.Errorf("the machine serves %q, not %q", got, config)
	}
}

func TestApplyPassesShellcheck(t *testing.T) {
	needs(t, "shellcheck")
	if out, err := exec.Command("shellcheck", "../azure/apply.sh").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The first deployment pulls the image as the machine's identity, without showing a
// token to other users, and starts it.
func TestFirstDeployment(t *testing.T) {
	m := newMachine(t)
	m.write("private", "")
	calls, said, ok := m.apply("contoso.example/pldns:1", "the-client-id", "one")
	if !ok {
		t.Fatalf("%s%s", said, calls)
	}
	for _, want := range []string{"client_id=the-client-id", "podman pull -q contoso.example/pldns:1\n", "systemctl restart pldns\n", "probe\n"} {
		if !strings.Contains(calls, want) {
			t.Errorf("no %q in\n%s", want, calls)
		}
	}
	for _, secret := range []string{"of-the-registry", "of+the+platform", "0123456789abcdef"} {
		if strings.Contains(calls, secret) {
			t.Errorf("%s is an argument:\n%s", secret, calls)
		}
	}
	m.serves("one")
	if read(t, filepath.Join(m.root, "login")) != "of-the-registry\n" {
		t.Error("podman was given another token than the registry's")
	}
}

// A later deployment does what has changed, and no more: another configuration is
// reloaded, even with the registry away, and another image is started.
func TestLaterDeployments(t *testing.T) {
	m := newMachine(t)
	if _, said, ok := m.apply("pldns:1", "", "one"); !ok {
		t.Fatal(said)
	}
	m.write("away", "")
	calls, said, ok := m.apply("pldns:1", "", "two")
	if !ok || strings.Contains(calls, "pull") || strings.Contains(calls, "systemctl") || !strings.Contains(calls, "/-/reload") {
		t.Errorf("another configuration: %s%s", said, calls)
	}
	m.serves("two")
	if calls, said, ok = m.apply("pldns:2", "", "two"); ok || !strings.Contains(said, "pldns:2 cannot be pulled") || strings.Contains(calls, "systemctl") {
		t.Errorf("an image that is not to be had: %s%s", said, calls)
	}
	if err := os.Remove(filepath.Join(m.root, "away")); err != nil {
		t.Fatal(err)
	}
	if calls, said, ok = m.apply("pldns:2", "", "two"); !ok || !strings.Contains(calls, "systemctl restart pldns\n") {
		t.Errorf("another image: %s%s", said, calls)
	}
	m.write("refuses", "")
	if calls, said, ok = m.apply("pldns:2", "", "three"); !ok || !strings.Contains(calls, "systemctl restart pldns\n") {
		t.Errorf("what a reload refuses: %s%s", said, calls)
	}
}

// What is faulty changes nothing, and what does not serve is not taken for done.
func TestFailedDeployments(t *testing.T) {
	m := newMachine(t)
	if _, said, ok := m.apply("pldns:1", "", "one"); !ok {
		t.Fatal(said)
	}
	if calls, said, ok := m.apply("pldns:1", "", "faulty"); ok || strings.Contains(calls, "reload") || strings.Contains(calls, "systemctl") {
		t.Errorf("a faulty file: %s%s", said, calls)
	}
	m.serves("one")
	m.write("silent", "")
	if calls, said, ok := m.apply("pldns:1", "", "two"); ok || !strings.Contains(said, "does not serve") {
		t.Errorf("a machine that does not answer: %s%s", said, calls)
	}
}
