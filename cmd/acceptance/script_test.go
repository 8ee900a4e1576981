package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"pldns/config/azuregraph/graphtest"
)

// TestMain builds the program and puts it before all others, as "pldns".
func TestMain(m *testing.M) {
	os.Exit(withProgram(m.Run))
}

func withProgram(run func() int) int {
	folder, err := os.MkdirTemp("", "pldns-acceptance-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	build := exec.Command("go", "build", "-o", filepath.Join(folder, "pldns"), "./cmd/pldns")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build pldns: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv("PATH", folder+string(filepath.ListSeparator)+os.Getenv("PATH")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}

// startAzure is the command of a script that starts an Azure with two databases in a VNet,
// of which one has no record, and writes into a file where it is. The file says
// $AZURE, $CA and $STATE.
func startAzure(t *testing.T, ts *testscript.TestScript, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: azure FILE")
	}
	azure := graphtest.New(t)
	subscription := azure.Subscription(1)
	hub := azure.VNet(subscription, "hub", "westeurope", []string{"10.20.0.0/16"}, nil)
	const zone = "privatelink.database.windows.net"
	azure.Link(subscription, zone, hub, "Default")
	azure.Record(subscription, zone, "sql1", "10.20.1.4")
	for name, address := range map[string]string{"sql1": "10.20.1.4", "sql2": "10.20.1.5"} {
		azure.Add(graphtest.Endpoint{
			Subscription: subscription, Name: name, VNet: hub, Address: address, Names: []string{name + ".database.windows.net"},
		})
	}
	ts.Setenv("IDENTITY_ENDPOINT", azure.Identity)
	ts.Setenv("IDENTITY_HEADER", graphtest.Secret)
	values := map[string]string{"AZURE": azure.URL, "CA": azure.CA, "STATE": ts.MkAbs("state.json")}
	text := os.Expand(ts.ReadFile(args[0]), func(name string) string { return values[name] })
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// The commands, as a terminal shows them: a script for each in testdata/script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"azure":    func(ts *testscript.TestScript, _ bool, args []string) { startAzure(t, ts, args) },
			"upstream": func(ts *testscript.TestScript, _ bool, args []string) { startUpstream(t, ts, args) },
			"serve":    func(ts *testscript.TestScript, _ bool, args []string) { startServer(t, ts, args) },
			"fill":     func(ts *testscript.TestScript, _ bool, args []string) { rewrite(ts, args[0]) },
			"ask":      func(ts *testscript.TestScript, _ bool, args []string) { ask(ts, args) },
			"await":    func(ts *testscript.TestScript, _ bool, args []string) { await(ts, args) },
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("PLDNS_CONFIG", "")
			return nil
		},
	})
}
