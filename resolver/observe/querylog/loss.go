package querylog

import (
	"sync"
	"time"
)

// lossPause is how long no line has to be lost for it to be over.
const lossPause = 5 * time.Minute

// losses are the lines that were lost of late. It may be used by many goroutines at once.
type losses struct {
	mu          sync.Mutex
	lines       int64
	first, last time.Duration // after the start of the log
}

func (l *losses) add(lines int, at time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines == 0 || at-l.last > lossPause {
		l.lines, l.first = 0, at
	}
	l.lines += int64(lines)
	l.last = at
}

// Loss is how many lines were lost, to where, and since when; zero lines if none was in the
// last five minutes. To is what it is called in metrics.
func (l *Log) Loss() (to string, lines int64, since time.Time) {
	now := l.config.Now()
	l.losses.mu.Lock()
	defer l.losses.mu.Unlock()
	at := now.Sub(l.start)
	if l.losses.lines == 0 || at-l.losses.last > lossPause {
		return l.to, 0, time.Time{}
	}
	return l.to, l.losses.lines, now.Round(0).Add(l.losses.first - at)
}
