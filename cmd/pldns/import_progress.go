package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// clearLine returns to the beginning of a terminal's line and empties it.
const clearLine = "\r\x1b[K"

// progressInterval is how often a progress line is written anew.
const progressInterval = 100 * time.Millisecond

// progressLine is a line on a terminal that says how far a long reading has come.
type progressLine struct {
	terminal io.Writer
	now      func() time.Time
	begun    time.Time
	told     time.Time
}

func newProgressLine(terminal io.Writer) *progressLine {
	return &progressLine{terminal: terminal, now: time.Now, begun: time.Now()}
}

// tell writes the line, unless it was written a moment ago. What is over at once
// needs none.
func (p *progressLine) tell(file string, read int) {
	now := p.now()
	if now.Sub(p.begun) < progressInterval || now.Sub(p.told) < progressInterval {
		return
	}
	p.told = now
	fmt.Fprintf(p.terminal, "%sreading %s: %d", clearLine, file, read)
}

// isTerminal tells whether somebody looks at what is written to a file.
func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice != 0
}
