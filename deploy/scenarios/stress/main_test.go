//go:build linux

package stress

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// setting is the program that is tried, and how much.
type setting struct {
	program string
	load    time.Duration // how long each load lasts
	brief   bool          // not everything is tried
}

// chosen says what is tried, and skips the test where nothing is to be.
func chosen(t *testing.T) setting {
	t.Helper()
	s := setting{program: os.Getenv("PLDNS_STRESS_PROGRAM")}
	switch how := os.Getenv("PLDNS_STRESS"); how {
	case "":
		t.Skip("a load of many seconds: set PLDNS_STRESS to short or full, or run make stress")
	case "short":
		s.load, s.brief = 2*time.Second, true
	case "full":
		s.load = 20 * time.Second
	default:
		t.Fatalf("PLDNS_STRESS is %q: set it to short or full", how)
	}
	if s.program == "" {
		s.program = built
	}
	if s.program == "" {
		t.Fatal("the program was not built")
	}
	return s
}

// built is the program that TestMain has built.
var built string

func TestMain(m *testing.M) {
	if what := os.Getenv(attackEnv); what != "" {
		os.Exit(attackFrom(what))
	}
	os.Exit(runTests(m))
}

// runTests builds the program where it will be needed.
func runTests(m *testing.M) int {
	if os.Getenv("PLDNS_STRESS") == "" || os.Getenv("PLDNS_STRESS_PROGRAM") != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "pldns-stress-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "pldns")
	build := exec.Command("go", "build", "-o", file, "pldns/cmd/pldns")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the program:", err)
		return 1
	}
	built = file
	return m.Run()
}
