//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// result is what one round measured of one server.
type result struct {
	start    float64 // seconds from its start to its first answer
	resident float64 // megabytes, after the load
	busy     load
	steady   load
}

// load is one run of the client.
type load struct {
	rate     float64 // queries per second
	cpu      float64 // seconds of the server's processors for a million queries
	lost     float64 // percent: not answered, or with another code than NOERROR
	p50, p99 float64 // microseconds
}

// measure starts a server, warms it up, and measures it at saturation and under a
// steady load.
func (o options) measure(ctx context.Context, dir string, s server, w workload) (result, error) {
	command, err := s.command(s, dir, w)
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	p, err := startProcess(ctx, dir, command)
	if err != nil {
		return result{}, err
	}
	defer p.stop()
	if err := ready(ctx, w.ready, p); err != nil {
		return result{}, err
	}
	r := result{start: time.Since(began).Seconds()}
	warming := time.Second
	if w.forward { // every name twice, at the pace of the slow
		warming = 3 * time.Second
	}
	if _, err := o.client(ctx, p, w, filepath.Join(dir, w.warm), warming, 0); err != nil {
		return r, err
	}
	if r.busy, err = o.client(ctx, p, w, filepath.Join(dir, w.queries), o.duration, 0); err != nil {
		return r, err
	}
	if r.steady, err = o.client(ctx, p, w, filepath.Join(dir, w.steady), o.duration, o.steady); err != nil {
		return r, err
	}
	r.resident = p.resident()
	return r, nil
}

// ready waits until a server answers.
func ready(ctx context.Context, name string, p *process) error {
	m := new(dns.Msg).SetQuestion(name, dns.TypeA)
	client := dns.Client{Timeout: 100 * time.Millisecond}
	for range 3000 {
		reply, _, err := client.ExchangeContext(ctx, m, fmt.Sprintf("127.0.0.1:%d", serverPort))
		if err == nil && reply.Rcode == dns.RcodeSuccess {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it ended: %s", p.lastWords())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("it does not answer: %s", p.lastWords())
}

// client runs dnsperf for so long; rate 0 is as fast as it goes. Only under a
// given rate does it tell the time of every query, which costs it a little.
func (o options) client(ctx context.Context, p *process, w workload, queries string, duration time.Duration, rate int) (load, error) {
	port := serverPort
	if w.mode == dot {
		port = tlsPort
	}
	args := []string{"-s", "127.0.0.1", "-p", strconv.Itoa(port), "-d", queries, "-c", "8", "-T", "1",
		"-l", strconv.Itoa(int(duration.Seconds())), "-m", w.mode}
	if rate > 0 {
		args = append(args, "-Q", strconv.Itoa(rate), "-v")
	}
	before := p.cpu()
	out, err := exec.CommandContext(ctx, "dnsperf", args...).CombinedOutput()
	used := p.cpu() - before
	if err != nil {
		return load{}, fmt.Errorf("dnsperf: %w: %s", err, out)
	}
	return readLoad(string(out), used)
}

// readLoad reads what dnsperf prints.
func readLoad(out string, used time.Duration) (load, error) {
	var l load
	var sent, completed, good float64
	var times []float64
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "> ") && len(fields) == 5:
			if seconds, err := strconv.ParseFloat(fields[4], 64); err == nil {
				times = append(times, seconds*1e6)
			}
		case strings.Contains(line, "Queries completed:"):
			completed, _ = strconv.ParseFloat(fields[2], 64)
		case strings.Contains(line, "Queries per second:"):
			l.rate, _ = strconv.ParseFloat(fields[3], 64)
		case strings.Contains(line, "Queries sent:"):
			sent, _ = strconv.ParseFloat(fields[2], 64)
		case strings.Contains(line, "Response codes:"):
			if at := slices.Index(fields, "NOERROR"); at > 0 {
				good, _ = strconv.ParseFloat(fields[at+1], 64)
			}
		}
	}
	if completed == 0 {
		return l, errors.New("no query was answered")
	}
	l.lost = (1 - good/sent) * 100
	l.cpu = used.Seconds() / completed * 1e6
	if slices.Sort(times); len(times) > 0 {
		l.p50, l.p99 = times[len(times)/2], times[len(times)*99/100]
	}
	return l, nil
}

// process is a server that runs, with all processes it has made.
type process struct {
	command *exec.Cmd
	log     string
	ended   chan struct{}
}

// startProcess starts a command in a process group of its own.
func startProcess(ctx context.Context, dir string, command []string) (*process, error) {
	log, err := os.CreateTemp(dir, "log-")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{command: exec.CommandContext(ctx, command[0], command[1:]...), log: log.Name(), ended: make(chan struct{})}
	p.command.Stdout, p.command.Stderr = log, log
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with the process
		_ = p.command.Wait()
		close(p.ended)
	}()
	return p, nil
}

// stop ends the process group and waits.
func (p *process) stop() {
	_ = syscall.Kill(-p.command.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(3 * time.Second):
	}
	_ = syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL)
	<-p.ended
	for range 100 { // until the port is free: its children may take a moment longer
		conn, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", serverPort))
		if err == nil {
			conn.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// lastWords is the end of what it has printed.
func (p *process) lastWords() string {
	text, _ := os.ReadFile(p.log)
	return strings.TrimSpace(string(text[max(0, len(text)-500):]))
}

// stats are the fields of /proc/PID/stat after the name, of every process of the
// group.
func (p *process) stats() (all [][]string) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		_, rest, found := strings.Cut(string(text), ") ")
		if fields := strings.Fields(rest); found && len(fields) > 21 && fields[2] == strconv.Itoa(p.command.Process.Pid) {
			all = append(all, fields)
		}
	}
	return all
}

// cpu is the time that its processors have spent, by itself and in the system,
// for those of its processes that have ended too.
func (p *process) cpu() time.Duration {
	var ticks int64
	for _, fields := range p.stats() {
		for _, field := range fields[11:15] {
			n, _ := strconv.ParseInt(field, 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ
}

// resident is its memory in megabytes.
func (p *process) resident() float64 {
	var pages int64
	for _, fields := range p.stats() {
		n, _ := strconv.ParseInt(fields[21], 10, 64)
		pages += n
	}
	return float64(pages) * float64(os.Getpagesize()) / 1e6
}
