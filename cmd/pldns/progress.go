package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

const (
	// clearLine returns to the beginning of a terminal's line and empties it.
	clearLine = "\r\x1b[K"
	// progressInterval is how often a progress line is written anew at most. What
	// is over sooner needs none.
	progressInterval = 100 * time.Millisecond
)

// progress is a line on a terminal that says how far something long has come.
type progress struct {
	to    io.Writer // nil where nobody looks
	now   func() time.Time
	told  time.Time
	shown bool
}

// newProgress makes a line on standard error, if that is a terminal.
func newProgress(stderr io.Writer) *progress {
	p := &progress{now: time.Now, told: time.Now()}
	if file, is := stderr.(*os.File); is {
		if info, err := file.Stat(); err == nil && info.Mode()&fs.ModeCharDevice != 0 {
			p.to = file
		}
	}
	return p
}

// tell writes the line, unless it was written a moment ago.
func (p *progress) tell(format string, values ...any) {
	if p.to == nil || p.now().Sub(p.told) < progressInterval {
		return
	}
	p.told, p.shown = p.now(), true
	fmt.Fprintf(p.to, clearLine+format, values...)
}

// end takes the line away.
func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.to, clearLine)
		p.shown = false
	}
}
