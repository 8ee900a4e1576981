//go:build linux

package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// runs is how long a program that is waited for may take.
const runs = 2 * Patience

// Run runs a program in the host and gives what it writes to standard output,
// without the last line break. A failure fails the test.
func (h *Host) Run(program string, arguments ...string) string {
	h.lab.tb.Helper()
	output, err := h.Try(program, arguments...)
	if err != nil {
		h.lab.tb.Fatalf("%s: %s %s: %v", h.Name, filepath.Base(program), strings.Join(arguments, " "), err)
	}
	return output
}

// Try is [Host.Run] for what may fail; the error has what the program wrote to
// standard error. It may be called by many goroutines at once.
func (h *Host) Try(program string, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), runs)
	defer cancel()
	var output, complaints bytes.Buffer
	command := exec.CommandContext(ctx, "ip", h.arguments(program, arguments)...)
	command.Stdout, command.Stderr = &output, &complaints
	command.WaitDelay = time.Second
	err := command.Run()
	text := strings.TrimRight(output.String(), "\n")
	if err != nil {
		return text, fmt.Errorf("%w\n%s%s", err, output.String(), complaints.String())
	}
	return text, nil
}

func (h *Host) arguments(program string, arguments []string) []string {
	return append([]string{"netns", "exec", h.space, program}, arguments...)
}

// Process is a program that runs in a host until it is stopped, or until the test
// ends.
type Process struct {
	host  *Host
	what  string
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	err   error // how it ended
}

// Start runs a program in the host. Where the test fails, the end of what it wrote
// is shown. It may be called by many goroutines at once.
func (h *Host) Start(program string, arguments ...string) *Process {
	h.lab.tb.Helper()
	log, err := os.CreateTemp(h.lab.Dir, "log-")
	if err != nil {
		h.lab.tb.Fatal(err)
	}
	defer log.Close()
	p := &Process{
		host: h, what: h.Name + ": " + filepath.Base(program), log: log.Name(), ended: make(chan struct{}),
		cmd: exec.Command("ip", h.arguments(program, arguments)...),
	}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		h.lab.tb.Fatalf("%s: %v", p.what, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	h.lab.tb.Cleanup(func() {
		p.Kill()
		if h.lab.tb.Failed() {
			h.lab.tb.Logf("%s wrote:\n%s", p.what, tail(p.Log()))
		}
	})
	return p
}

// Signal sends a signal. It may be called by many goroutines at once.
func (p *Process) Signal(signal syscall.Signal) {
	_ = p.cmd.Process.Signal(signal) // it may have ended
}

// ID is the process id, as the machine counts.
func (p *Process) ID() int { return p.cmd.Process.Pid }

// CPU is the time that the processors have spent on the process, by itself and in the
// system, to a hundredth of a second.
func (p *Process) CPU() time.Duration {
	p.host.lab.tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.ID()))
	if err != nil {
		p.host.lab.tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold spaces
	var ticks int64
	for _, field := range strings.Fields(rest)[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			p.host.lab.tb.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ
}

// Kill ends the process at once and waits for it.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.ended
}

// Stop ends the process as a service manager does, and waits for it; the test
// fails if it does not end by itself, and well.
func (p *Process) Stop() {
	p.host.lab.tb.Helper()
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		if p.err != nil {
			p.host.lab.tb.Errorf("%s: after SIGTERM: %v", p.what, p.err)
		}
	case <-time.After(Patience):
		p.host.lab.tb.Errorf("%s: SIGTERM does not end it", p.what)
		p.Kill()
	}
}

// Ended tells whether the process is over.
func (p *Process) Ended() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Wait waits for the end of a process that ends by itself; it gives its output,
// and an error for a failure.
func (p *Process) Wait() (string, error) {
	<-p.ended
	return p.Log(), p.err
}

// Log is what the process wrote so far.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// tail is the end of a long text.
func tail(text string) string {
	const most = 3000
	if len(text) <= most {
		return text
	}
	return "..." + text[len(text)-most:]
}
