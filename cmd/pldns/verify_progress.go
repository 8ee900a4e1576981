package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// verifyProgressEvery is how often the line is written anew at most.
const verifyProgressEvery = 100 * time.Millisecond

// verifyProgress is a line on a terminal that says how far verify is. Where nobody
// looks there is none.
type verifyProgress struct {
	to    io.Writer // nil where nobody looks
	now   func() time.Time
	told  time.Time
	shown bool
}

func newVerifyProgress(stderr io.Writer) *verifyProgress {
	if file, is := stderr.(*os.File); is {
		if info, err := file.Stat(); err == nil && info.Mode()&fs.ModeCharDevice != 0 {
			return &verifyProgress{to: stderr, now: time.Now}
		}
	}
	return &verifyProgress{}
}

// tell writes the line, unless it was written a moment ago.
func (p *verifyProgress) tell(done, all int) {
	if p.to == nil {
		return
	}
	now := p.now()
	if now.Sub(p.told) < verifyProgressEvery && done != all {
		return
	}
	const width = 30
	bar := strings.Repeat("#", width*done/all)
	fmt.Fprintf(p.to, "\r\x1b[Kverifying [%-*s] %d of %d", width, bar, done, all)
	p.told, p.shown = now, true
}

// end takes the line away.
func (p *verifyProgress) end() {
	if p.shown {
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}
