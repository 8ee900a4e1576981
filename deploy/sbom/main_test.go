package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
)

// A replaced module is listed as what it was replaced with, and every part is
// among what the program holds.
func TestBill(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.8", Main: debug.Module{Path: "pldns", Version: "v1.0.0"},
		Deps: []*debug.Module{
			{Path: "github.com/miekg/dns", Version: "v1.1.73", Sum: "h1:abc="},
			{Path: "example.com/a", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/b", Version: "v2.0.0"}},
		},
		Settings: []debug.BuildSetting{{Key: "GOARCH", Value: "arm64"}},
	}
	bill := billOf(info, "00ff")
	want := []string{"pkg:golang/std@1.26.8", "pkg:golang/github.com/miekg/dns@v1.1.73", "pkg:golang/example.com/b@v2.0.0"}
	var got []string
	for _, part := range bill.Components {
		got = append(got, part.PURL)
	}
	if !slices.Equal(got, want) {
		t.Errorf("components %q, want %q", got, want)
	}
	if !slices.Equal(bill.Dependencies[0].DependsOn, want) {
		t.Errorf("the program holds %q, want %q", bill.Dependencies[0].DependsOn, want)
	}
	if sum := bill.Components[1].Properties; len(sum) != 1 || sum[0].Value != "h1:abc=" {
		t.Errorf("checksum of a module: %v", sum)
	}
}

// What is written of a real binary, this test, can be read as JSON, and twice the
// same; what is no Go program is an error.
func TestWrite(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := write(out, binary); err != nil {
			t.Fatal(err)
		}
	}
	var bill document
	if err := json.Unmarshal(first.Bytes(), &bill); err != nil {
		t.Fatal(err)
	}
	if bill.Format != "CycloneDX" || len(bill.Components) == 0 || len(bill.Metadata.Component.Hashes) != 1 {
		t.Errorf("no bill of materials: %+v", bill)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two bills of one binary differ")
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := write(new(bytes.Buffer), text); err == nil {
		t.Error("a text file has a bill of materials")
	}
}
