package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestMain makes this test the program, under the name pldns, for the tests that run
// it as a process.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "pldns" {
		main()
	}
	os.Exit(asProgram(m.Run))
}

// asProgram runs the tests with the program before all others of its name.
func asProgram(run func() int) int {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	folder, err := os.MkdirTemp("", "pldns-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	if err := os.Symlink(self, filepath.Join(folder, "pldns")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.Setenv("PATH", folder+string(filepath.ListSeparator)+os.Getenv("PATH")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}
