package clientconfig_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pldns/config/clientconfig"
)

// sh writes a script and runs it with the system's shell.
func sh(t *testing.T, script string, env []string, args ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script.sh")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "sh", append([]string{file}, args...)...)
	command.Env = append(os.Environ(), env...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// The script for macOS writes a file for each zone, replaces what it wrote and
// removes it, and touches nothing else. It is run here on a directory of the test.
func TestMacOSScript(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "resolver")
	env := []string{"RESOLVER_DIRECTORY=" + dir}
	sh(t, render(t, output{clientconfig.MacOS, ""}, plain(t, "old.example", "database.windows.net")), env)
	foreign := filepath.Join(dir, "contoso.com")
	if err := os.WriteFile(foreign, []byte("nameserver 10.1.1.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := render(t, output{clientconfig.MacOS, ""}, plain(t, append(hostile(), "contoso.com", "database.windows.net")...))
	for range 2 {
		sh(t, second, env)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != len(hostile())+2 {
			t.Errorf("%d files: %v", len(entries), entries)
		}
	}
	const want = "# written by pldns client-config\nnameserver 10.0.0.4\nport 53\n"
	if got, err := os.ReadFile(filepath.Join(dir, "database.windows.net")); err != nil || string(got) != want {
		t.Errorf("%v: %s", err, got)
	}
	sh(t, second, env, "--remove")
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v: left behind: %v", err, entries)
	}
	if got, err := os.ReadFile(foreign); err != nil || string(got) != "nameserver 10.1.1.1\n" {
		t.Errorf("%v: the file of somebody else holds %s", err, got)
	}
}

// The script for a ruleset calls the Azure CLI once for each zone, with names as
// single arguments. A stand-in writes down how it is called.
func TestRulesetScript(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	fake := "#!/bin/sh\nfor word in \"$@\"; do printf '[%s] ' \"$word\"; done >>\"$LOG\"\necho >>\"$LOG\"\n"
	if err := os.WriteFile(filepath.Join(dir, "az"), []byte(fake), 0o700); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "LOG=" + log, "RESOURCE_GROUP=my group", "RULESET=rules"}
	script := render(t, output{clientconfig.Ruleset, "cli"}, plain(t, "database.windows.net", "-rf.contoso.com"))
	sh(t, script, env)
	sh(t, script, env, "--remove")
	const where = "[--output] [none] [--resource-group] [my group] [--ruleset-name] [rules] "
	const to = `[--forwarding-rule-state] [Enabled] [--target-dns-servers] [[{"ip-address":"10.0.0.4","port":53}]] `
	want := strings.Join([]string{
		"[dns-resolver] [forwarding-rule] [create] " + where + "[--name] [pldns--rf-contoso-com] [--domain-name=-rf.contoso.com.] " + to,
		"[dns-resolver] [forwarding-rule] [create] " + where + "[--name] [pldns-database-windows-net] [--domain-name=database.windows.net.] " + to,
		"[dns-resolver] [forwarding-rule] [delete] [--yes] " + where + "[--name] [pldns--rf-contoso-com] ",
		"[dns-resolver] [forwarding-rule] [delete] [--yes] " + where + "[--name] [pldns-database-windows-net] ",
	}, "\n") + "\n"
	if got, err := os.ReadFile(log); err != nil || string(got) != want {
		t.Errorf("%v: called with\n%swant\n%s", err, got, want)
	}
}

// What is a shell script pleases shellcheck, where that is installed.
func TestScriptsPleaseShellcheck(t *testing.T) {
	if _, err := exec.LookPath("shellcheck"); err != nil {
		if os.Getenv("PLDNS_REAL_PROGRAMS") != "" {
			t.Fatal(err)
		}
		t.Skip("needs the package shellcheck")
	}
	for _, o := range []output{{clientconfig.MacOS, ""}, {clientconfig.Ruleset, "cli"}} {
		command := exec.CommandContext(t.Context(), "shellcheck", "-")
		command.Stdin = strings.NewReader(render(t, o, sample(t, "europe")))
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", o, err, out)
		}
	}
}
