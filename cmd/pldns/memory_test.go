package main

import (
	"os/exec"
	"strings"
	"testing"
)

// Whoever sets GOMEMLIMIT has it, and it is said.
func TestOwnMemoryLimit(t *testing.T) {
	program, err := exec.LookPath("pldns") // this test under another name: see TestMain
	if err != nil {
		t.Fatal(err)
	}
	m, at, admin := newServiceManager(t)
	m.program, m.config = program, writeConfig(t, passedConfig(at, admin, ""))
	t.Setenv("GOMEMLIMIT", "100MiB")
	command, talk := m.start()
	m.await("READY=1")
	m.stop(command, talk)
	if !strings.Contains(talk.String(), `limit="100 MiB" from=GOMEMLIMIT`) {
		t.Errorf("the log says\n%s", talk)
	}
}
