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
	flag.StringVar(&o.pldns, "pldns", "bin/pldns", "the program to measure")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each server is measured")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "how long each measurement takes")
	flag.IntVar(&o.steady, "steady", 20_000, "queries per second of the steady load")
	flag.StringVar(&o.workloads, "workloads", "w1,w2,w3,w4,w5,networks,endpoints", "what to measure")
	flag.StringVar(&o.servers, "servers", "", "only these servers, besides the echo")
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
	self, err := os.Executable()
	if err != nil {
		return err
	}
	stub, err := startProcess(ctx, dir, []string{self, "stub"})
	if err != nil {
		return err
	}
	defer stub.stop()
	for _, w := range workloads() {
		if !slices.Contains(strings.Split(o.workloads, ","), w.group) {
			continue
		}
		if err := o.measureWorkload(ctx, dir, self, w); err != nil {
			return err
		}
	}
	return nil
}

// measureWorkload measures every server that takes part in a workload.
func (o options) measureWorkload(ctx context.Context, dir, self string, w workload) error {
	results := make(map[string][]result)
	var names []string
	for range o.rounds {
		for _, s := range servers(o.pldns, self) {
			if !s.takesPart(w) || !o.wants(s.name) {
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

// wants tells whether a server is to be measured.
func (o options) wants(name string) bool {
	return o.servers == "" || name == "echo" || slices.Contains(strings.Split(o.servers, ","), name)
}

// printTable prints the medians of a workload, and the ratios to the echo.
func printTable(w workload, names []string, results map[string][]result) {
	fmt.Printf("\n### %s\n\n%s\n\n", w.name, w.about)
	fmt.Println("| server | q/s | CPU-s/M | × echo | steady CPU-s/M | × echo | p50 µs | p99 µs | RSS MB | start s | lost |")
	fmt.Println("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	echo := results["echo"]
	for _, name := range names {
		r := results[name]
		of := func(pick func(result) float64) float64 { return median(r, pick) }
		ratio := func(pick func(result) float64) string {
			if len(echo) == 0 || median(echo, pick) == 0 || of(pick) == 0 {
				return "-"
			}
			return fmt.Sprintf("%.2f", of(pick)/median(echo, pick))
		}
		busy, steady := func(r result) float64 { return r.busy.cpu }, func(r result) float64 { return r.steady.cpu }
		fmt.Printf("| %s | %.0f | %.1f | %s | %.1f | %s | %.0f | %.0f | %.0f | %.2f | %.2f %% |\n", name,
			of(func(r result) float64 { return r.busy.rate }), of(busy), ratio(busy), of(steady), ratio(steady),
			of(func(r result) float64 { return r.steady.p50 }), of(func(r result) float64 { return r.steady.p99 }),
			of(func(r result) float64 { return r.resident }), of(func(r result) float64 { return r.start }),
			of(func(r result) float64 { return r.busy.lost }))
	}
}

// median is the median of one figure.
func median(results []result, pick func(result) float64) float64 {
	values := make([]float64, 0, len(results))
	for _, r := range results {
		values = append(values, pick(r))
	}
	slices.Sort(values)
	if len(values) == 0 {
		return 0
	}
	return values[len(values)/2]
}
