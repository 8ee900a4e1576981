// Command sbom writes the bill of materials of a Go program, as CycloneDX JSON:
// the modules that the toolchain stamped into the binary, so that it says what is
// in this very file. The same binary gives the same bytes.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: sbom BINARY")
		os.Exit(2)
	}
	if err := write(os.Stdout, os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "sbom: %v\n", err)
		os.Exit(1)
	}
}

// The parts of CycloneDX 1.6 that are needed.
type (
	document struct {
		Format       string       `json:"bomFormat"`
		SpecVersion  string       `json:"specVersion"`
		Version      int          `json:"version"`
		Metadata     metadata     `json:"metadata"`
		Components   []component  `json:"components"`
		Dependencies []dependency `json:"dependencies"`
	}
	metadata struct {
		Component component `json:"component"`
	}
	component struct {
		Ref        string     `json:"bom-ref"`
		Type       string     `json:"type"`
		Name       string     `json:"name"`
		Version    string     `json:"version"`
		PURL       string     `json:"purl,omitempty"`
		Hashes     []hash     `json:"hashes,omitempty"`
		Properties []property `json:"properties,omitempty"`
	}
	hash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn"`
	}
)

// write writes the bill of the binary in a file.
func write(w io.Writer, file string) error {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the modules of %s: %w", file, err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	sum := sha256.Sum256(data)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(billOf(info, hex.EncodeToString(sum[:])))
}

// billOf describes the program, the modules in it, and the standard library.
func billOf(info *debug.BuildInfo, digest string) document {
	program := component{
		Ref: info.Main.Path, Type: "application", Name: info.Main.Path, Version: info.Main.Version,
		Hashes: []hash{{"SHA-256", digest}},
	}
	for _, setting := range info.Settings {
		program.Properties = append(program.Properties, property{"go:" + setting.Key, setting.Value})
	}
	bill := document{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: metadata{program}, Components: []component{library("std", strings.TrimPrefix(info.GoVersion, "go"), "")},
	}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		bill.Components = append(bill.Components, library(module.Path, module.Version, module.Sum))
	}
	holds := dependency{Ref: program.Ref}
	for _, part := range bill.Components {
		holds.DependsOn = append(holds.DependsOn, part.Ref)
	}
	bill.Dependencies = []dependency{holds}
	return bill
}

// library is a module. Its checksum is Go's own of the module's files, which is no
// digest of one file and so stands among the properties.
func library(path, version, sum string) component {
	purl := "pkg:golang/" + path + "@" + version
	part := component{Ref: purl, Type: "library", Name: path, Version: version, PURL: purl}
	if sum != "" {
		part.Properties = []property{{"go:sum", sum}}
	}
	return part
}
