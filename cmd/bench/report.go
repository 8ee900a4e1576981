//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// printHead says what was measured on, with what, and by which command.
func printHead(all []server) {
	fmt.Printf("Measured on %s by `%s`, load average before: %s.\n\n", time.Now().UTC().Format(time.DateOnly),
		strings.Join(append([]string{"bench"}, os.Args[1:]...), " "), firstOf("/proc/loadavg", ""))
	fmt.Printf("- %d × %s, %s of memory, Linux %s\n", runtime.NumCPU(), firstOf("/proc/cpuinfo", "model name"),
		firstOf("/proc/meminfo", "MemTotal"), firstOf("/proc/sys/kernel/osrelease", ""))
	fmt.Printf("- %s, dnsperf %s\n", runtime.Version(), versionOf([]string{"dnsperf", "-h"}))
	for _, s := range all {
		if s.version != nil {
			fmt.Printf("- %s %s\n", s.name, versionOf(s.version))
		}
	}
}

// firstOf is the first line of a file, or what follows the colon of the first line
// that begins with a word.
func firstOf(file, word string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, word); found {
			return strings.Join(strings.Fields(strings.TrimPrefix(strings.TrimSpace(rest), ":")), " ")
		}
	}
	return "unknown"
}

// versionOf is the number behind "version" in what a command prints, or else the
// first one of three parts, or else the first line.
func versionOf(command []string) string {
	out, _ := exec.Command(command[0], command[1:]...).CombinedOutput() // some exit with 1
	for _, pattern := range []string{`(?i)version\s+(\d+\.\d+\S*)`, `\b(\d+\.\d+\.\d+[^\s,)]*)`} {
		if found := regexp.MustCompile(pattern).FindSubmatch(out); found != nil {
			return string(found[1])
		}
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
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
		figure := func(digits int, pick func(result) float64) string {
			if of(pick) == 0 {
				return "-" // it was not measured
			}
			return strconv.FormatFloat(of(pick), 'f', digits, 64)
		}
		fmt.Printf("| %s | %.0f | %.1f | %s | %s | %s | %s | %s | %.0f | %.2f | %.2f %% |\n", name,
			of(func(r result) float64 { return r.busy.rate }), of(busy), ratio(busy), figure(1, steady), ratio(steady),
			figure(0, func(r result) float64 { return r.steady.p50 }), figure(0, func(r result) float64 { return r.steady.p99 }),
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
