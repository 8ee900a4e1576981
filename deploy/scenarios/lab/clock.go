//go:build linux

package lab

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Clock is the wall clock that one process sees: that of the machine, and what it
// is wrong by. The kernel has one wall clock for all namespaces, and Go reads it
// without a system call, so the process runs a pldns that is built from the same
// source with a time package that adds a number from a file, which is mapped into
// its memory: every reading after [Clock.Set] is wrong by it, at once, as after
// somebody has set the clock. The monotonic clock is the machine's, as it is then.
type Clock struct {
	lab     *Lab
	file    string
	program string
}

// skewSource is added to the time package.
const skewSource = `package time

import (
	"syscall"
	"unsafe"
)

var wrongBy = mapped()

func mapped() *int64 {
	path, found := syscall.Getenv("PLDNS_LAB_CLOCK")
	if !found {
		return nil
	}
	file, err := syscall.Open(path, syscall.O_RDONLY, 0)
	if err != nil {
		panic("the clock of the lab: " + err.Error())
	}
	page, err := syscall.Mmap(file, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic("the clock of the lab: " + err.Error())
	}
	return (*int64)(unsafe.Pointer(&page[0]))
}

func skewed(sec int64) int64 {
	if wrongBy != nil {
		sec += *wrongBy
	}
	return sec
}
`

// Clock builds the program whose clock can be set.
func (l *Lab) Clock() *Clock {
	l.tb.Helper()
	c := &Clock{lab: l, file: l.File("clock", string(make([]byte, 8))), program: filepath.Join(l.Dir, "pldns-with-a-clock")}
	output, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		l.tb.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(output)), "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		l.tb.Fatal(err)
	}
	const reading = "sec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(text), reading) != 1 {
		l.tb.Fatalf("%s reads the clock in another way than this knows: change it here", source)
	}
	changed := strings.Replace(string(text), reading, reading+"\tsec = skewed(sec)\n", 1)
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(source, "time.go"):   l.File("clock-time.go", changed),
		filepath.Join(source, "skewed.go"): l.File("clock-skewed.go", skewSource),
	}})
	if err != nil {
		l.tb.Fatal(err)
	}
	build := exec.Command("go", "build", "-trimpath", "-overlay", l.File("clock.json", string(overlay)), "-o", c.program, "pldns/cmd/pldns")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		l.tb.Fatalf("build pldns with a clock: %v\n%s", err, output)
	}
	return c
}

// Pldns is [Host.Pldns] with this clock.
func (c *Clock) Pldns(h *Host, file string) *Process {
	c.lab.tb.Helper()
	return h.Serving("env", "PLDNS_LAB_CLOCK="+c.file, c.program, "serve", "-c", file)
}

// Set makes the clock wrong, in whole seconds.
func (c *Clock) Set(by time.Duration) {
	c.lab.tb.Helper()
	file, err := os.OpenFile(c.file, os.O_WRONLY, 0) // in place: the file is mapped
	if err != nil {
		c.lab.tb.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(by/time.Second)), 0); err != nil {
		c.lab.tb.Fatal(err)
	}
}
