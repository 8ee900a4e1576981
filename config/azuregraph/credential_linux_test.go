package azuregraph_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pldns/config"
	"pldns/config/azuregraph"
	"pldns/config/azuregraph/graphtest"
)

// elsewhere says that the test has directories of its own.
const elsewhere = "PLDNS_TEST_ELSEWHERE"

// A server elsewhere has the identity that the agent of Azure Arc gives it: whoever can
// read the key which the agent names gets a token. Keys are in one directory of the
// system, so that the test runs anew where it has that for itself.
func TestArc(t *testing.T) {
	if os.Getenv(elsewhere) == "" {
		runElsewhere(t)
		return
	}
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", "/var", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	s, _, scope := asking(t, 1)
	s.ArcEnvironment(t)
	a := settings(s)
	a.ClientID = "" // the only identity that the server has
	c, err := azuregraph.New(a, over(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := all(t.Context(), c, scope); err == nil || !strings.Contains(err.Error(), graphtest.ArcKeys+"/test.key") {
		t.Errorf("without the key: %v", err)
	}
	if err := os.MkdirAll(graphtest.ArcKeys, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(graphtest.ArcKeys, "test.key"), []byte(graphtest.Secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if rows, err := all(t.Context(), c, scope); err != nil || len(rows) != 1 {
		t.Errorf("with the key: %d rows, %v", len(rows), err)
	}
}

// runElsewhere runs the test that calls it in a mount namespace of its own.
func runElsewhere(t *testing.T) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	again := exec.CommandContext(t.Context(), program, "-test.run", "^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), elsewhere+"=1")
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		again.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		again.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		again.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	var said strings.Builder
	again.Stdout, again.Stderr = &said, &said
	if err := again.Start(); err != nil {
		t.Skipf("no mount namespace can be had here (%v): what is left out is the token that the agent of Azure Arc gives for a key", err)
	}
	if err := again.Wait(); err != nil || !strings.Contains(said.String(), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, &said)
	}
}

// Whoever is logged in with the Azure command line is asked for by running az, once for
// as long as its token is good; what it says against that is told.
func TestAzureCLI(t *testing.T) {
	s, _, scope := asking(t, 1)
	dir := t.TempDir()
	script := "#!/bin/sh\necho \"$@\" >> \"" + dir + "/asked\"\nif [ -f \"" + dir + "/token\" ]; then cat \"" + dir + "/token\"; exit; fi\n" +
		"echo \"ERROR: Please run 'az login' to setup account.\" >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, "az"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH")
	t.Setenv("PATH", dir+":"+path)
	a := settings(s)
	a.Identity, a.ClientID, a.Tenant = config.CLIIdentity, "", graphtest.Tenant
	c, err := azuregraph.New(a, over(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := all(t.Context(), c, scope); err == nil || !strings.Contains(err.Error(), "Please run 'az login'") {
		t.Errorf("nobody is logged in: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "token"), s.CLIToken(), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if rows, err := all(t.Context(), c, scope); err != nil || len(rows) != 1 {
			t.Errorf("%d rows, %v", len(rows), err)
		}
	}
	asked, err := os.ReadFile(filepath.Join(dir, "asked"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(asked)), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[1], "account get-access-token -o json --resource https://management.") ||
		!strings.HasSuffix(lines[1], " --tenant "+graphtest.Tenant) {
		t.Errorf("az was asked for\n%s", asked)
	}
	t.Setenv("PATH", t.TempDir())
	if c, err = azuregraph.New(a, over(t, s)); err != nil {
		t.Fatal(err)
	}
	if _, err := all(t.Context(), c, scope); err == nil || !strings.Contains(err.Error(), "executable not found") {
		t.Errorf("there is no az: %v", err)
	}
}
