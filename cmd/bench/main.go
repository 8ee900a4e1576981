//go:build linux

// Bench measures the whole program against a UDP echo and against other servers
// that are installed, on this machine and without root: every server in its turn,
// round after round, with dnsperf as the client. What one round measures is
// compared with the same round's echo; what is printed are medians.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Where everything listens.
const (
	serverPort = 5399
	tlsPort    = 5396
	stubPort   = 5397
)

// options are what the command line says.
type options struct {
	pldns     string
	rounds    int
	duration  time.Duration
	steady    int
	workloads string
	servers   string
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "stub" {
		fmt.Fprintln(os.Stderr, serveStub())
		os.Exit(1)
	}
	if len(os.Args) == 2 && os.Args[1] == "echo" {
		fmt.Fprintln(os.Stderr, serveEcho())
		os.Exit(1)
	}
	var o options
	flag.StringVar(&o.pldns, "pldns", "../../bin/pldns", "the program to measure")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each server is measured")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "how long each measurement takes")
	flag.IntVar(&o.steady, "steady", 20_000, "queries per second of the steady load")
	flag.StringVar(&o.workloads, "workloads", "all", "what to measure: some of w1, w2, w3, w4, w5, w5dot, policy, networks, endpoints, "+
		"with commas between")
	flag.StringVar(&o.servers, "servers", "", "only these servers, besides the echo, with commas between")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures everything and prints a table for each workload.
func run(ctx context.Context, o options) error {
	if _, err := exec.LookPath("dnsperf"); err != nil {
		return fmt.Errorf("the client is missing: install dnsperf (%w)", err)
	}
	dir, err := os.MkdirTemp("", "pldns-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.pldns, err = filepath.Abs(o.pldns); err != nil {
		return err
	}
	if err := writeInputs(dir); err != nil {
		return err
	}
	if err := writeCertificate(dir); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	stub, err := startProcess(ctx, dir, []string{self, "stub"})
	if err != nil {
		return err
	}
	defer stub.stop()
	present := o.present(ctx, servers(o.pldns, self))
	printHead(present)
	for _, w := range workloads() {
		if o.workloads != "all" && !slices.Contains(strings.Split(o.workloads, ","), w.group) {
			continue
		}
		if err := o.measureWorkload(ctx, dir, present, w); err != nil {
			return err
		}
	}
	return nil
}

// measureWorkload measures every server that takes part in a workload.
func (o options) measureWorkload(ctx context.Context, dir string, present []server, w workload) error {
	results := make(map[string][]result)
	var names []string
	for range o.rounds {
		for _, s := range present {
			if !s.takesPart(w) {
				continue
			}
			got, err := o.measure(ctx, dir, s, w)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "%s, %s: %v\n", w.name, s.name, err)
				continue
			}
			if results[s.name] == nil {
				names = append(names, s.name)
			}
			results[s.name] = append(results[s.name], got)
		}
	}
	printTable(w, names, results)
	return nil
}

// present are the servers that are wanted and can be started here. Of the others
// it says why not.
func (o options) present(ctx context.Context, all []server) []server {
	var present []server
	for _, s := range all {
		if !o.wants(s.name) {
			continue
		}
		var err error
		if s.build != nil {
			s.program, err = s.build(ctx)
			s.version = []string{s.program, "-version"}
		}
		if err == nil && s.program != "" {
			_, err = exec.LookPath(s.program)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s is left out: %v\n", s.name, err)
			continue
		}
		present = append(present, s)
	}
	return present
}

// wants tells whether a server is to be measured.
func (o options) wants(name string) bool {
	return o.servers == "" || name == "echo" || slices.Contains(strings.Split(o.servers, ","), name)
}
