//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// server is a program to measure.
type server struct {
	name           string
	program        string // what must be installed; empty if it comes with us
	local, forward bool   // what it can do
	udpOnly, tls   bool
	// build makes the program where no package has it, and gives its path.
	build func(ctx context.Context) (string, error)
	// version prints which one it is.
	version []string
	// command writes the files that the program needs below dir and gives the
	// command line.
	command func(s server, dir string, w workload) ([]string, error)
}

// policied is pldns with a policy.
const policied = "pldns-policy"

// takesPart tells whether a server can do what a workload asks.
func (s server) takesPart(w workload) bool {
	if (w.group == "networks" || w.group == "endpoints") && s.name != "echo" && s.name != "pldns" {
		return false // only pldns has them
	}
	if s.name == policied && w.group != "policy" || w.group == "policy" && s.name != policied && s.name != "pldns" && s.name != "echo" {
		return false
	}
	if w.mode == dot && !s.tls || w.mode != "udp" && s.udpOnly {
		return false
	}
	return (!w.local || s.local) && (!w.forward || s.forward)
}

func servers(pldns, self string) []server {
	return []server{
		{name: "echo", local: true, forward: true, udpOnly: true, command: func(_ server, dir string, _ workload) ([]string, error) {
			return echoCommand(dir, self)
		}},
		{name: "pldns", local: true, forward: true, tls: true, version: []string{pldns, "version"},
			command: func(_ server, dir string, w workload) ([]string, error) {
				return with(dir, "pldns.toml", pldnsConfig(w), pldns, "serve", "-c", "FILE")
			}},
		{name: policied, local: true, forward: true, tls: true, version: []string{pldns, "version"},
			command: func(_ server, dir string, w workload) ([]string, error) {
				text, err := heldToPolicy(dir, w)
				if err != nil {
					return nil, err
				}
				return with(dir, "pldns.toml", text, pldns, "serve", "-c", "FILE")
			}},
		{name: "knot", program: "knotd", local: true, version: []string{"knotd", "-V"}, command: knot},
		{name: "nsd", program: "nsd", local: true, tls: true, version: []string{"nsd", "-v"}, command: nsd},
		{name: "unbound", program: "unbound", local: true, forward: true, tls: true, version: []string{"unbound", "-V"}, command: unbound},
		{name: "bind9", program: "named", local: true, forward: true, tls: true, version: []string{"named", "-v"}, command: bind},
		{name: "dnsmasq", program: "dnsmasq", local: true, forward: true, version: []string{"dnsmasq", "-v"}, command: dnsmasq},
		{name: "dnsdist", program: "dnsdist", local: true, forward: true, tls: true, version: []string{"dnsdist", "-V"}, command: dnsdist},
		{name: "recursor", program: "pdns_recursor", local: true, forward: true, version: []string{"pdns_recursor", "--version"},
			command: recursor},
		{name: "kresd", program: "kresd", local: true, forward: true, tls: true, version: []string{"kresd", "-V"}, command: kresd},
		{name: "coredns", local: true, forward: true, tls: true, build: buildCoreDNS, command: coreDNS},
	}
}

// with writes a file, and gives the command with FILE and DIR replaced.
func with(dir, name, text string, command ...string) ([]string, error) {
	file := filepath.Join(dir, name)
	replace := strings.NewReplacer("FILE", file, "DIR", dir, "TLSPORT", fmt.Sprint(tlsPort), "PORT", fmt.Sprint(serverPort),
		"BACKEND", fmt.Sprint(stubPort), "TLSCERT", filepath.Join(dir, "tls.crt"), "TLSKEY", filepath.Join(dir, "tls.key"))
	if name != "pldns.toml" {
		text = replace.Replace(text)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if err := aged(file); err != nil {
		return nil, err
	}
	for i := range command {
		command[i] = replace.Replace(command[i])
	}
	return command, nil
}

// aged makes a file older. pldns reads one that was written a moment before once more, in case
// it was written since: that is not to fall into what is measured.
func aged(file string) error {
	written := time.Now().Add(-time.Minute)
	return os.Chtimes(file, written, written)
}

// writeZone writes the zone of W1.
func writeZone(dir string) error {
	return os.WriteFile(filepath.Join(dir, "zone"), []byte(zoneFile()), 0o600)
}
