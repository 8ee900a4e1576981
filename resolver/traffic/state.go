package traffic

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"time"
)

const (
	stateFormat = 1
	// largestLine bounds a line of the state: one network that is never idle takes 150 KiB.
	largestLine = 4 << 20
)

// head is the first line of a state.
type head struct {
	Format int       `json:"pldns_traffic"`
	At     time.Time `json:"at"`
	Second int64     `json:"second"` // of all runs, at that time
}

// line is every other line: the history of a network or of all, or the end.
type line struct {
	Network *string `json:"network,omitempty"` // nil for all
	Minutes *kept   `json:"minutes,omitempty"`
	Hours   *kept   `json:"hours,omitempty"`
	Digest  string  `json:"sha256,omitempty"` // of all lines before; in the last one only
}

// kept is a history as it is written down.
type kept struct {
	Now    int64   `json:"now"`
	Open   *sum    `json:"open,omitempty"`
	Blocks []block `json:"blocks,omitempty"`
}

// keep copies a history.
func keep(h *history) *kept {
	k := &kept{Now: h.now, Blocks: slices.Clone(h.blocks)}
	if h.open.Counts.Total() > 0 {
		open := h.open
		k.Open = &open
	}
	return k
}

// Save writes the days and hours of all networks, in lines of JSON. The error is that of
// writing.
func (t *Traffic) Save(to io.Writer) error {
	h, lines := t.lines()
	digest := sha256.New()
	buffered := bufio.NewWriterSize(io.MultiWriter(to, digest), 64<<10)
	encoder := json.NewEncoder(buffered)
	err := encoder.Encode(h)
	for _, l := range lines {
		err = errors.Join(err, encoder.Encode(l))
	}
	if err = errors.Join(err, buffered.Flush()); err != nil {
		return err
	}
	return json.NewEncoder(to).Encode(line{Digest: hex.EncodeToString(digest.Sum(nil))})
}

// lines are what is to be written, as of one moment.
func (t *Traffic) lines() (head, []line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.config.Now()
	t.look(now)
	lines := []line{{Minutes: keep(&t.all.byMinute), Hours: keep(&t.all.byHour)}}
	for name, n := range *t.networks.Load() {
		if !n.past.empty() {
			lines = append(lines, line{Network: &name, Minutes: keep(&n.past.byMinute), Hours: keep(&n.past.byHour)})
		}
	}
	return head{stateFormat, now.UTC().Round(0), t.second}, lines
}

// Restore begins with what [Traffic.Save] wrote, before anything is counted. If there is
// an error nothing has changed; it says what is wrong.
func (t *Traffic) Restore(from io.Reader) error {
	lines := &lineReader{from: bufio.NewReaderSize(from, 64<<10), digest: sha256.New()}
	var h head
	if err := lines.next(&h); err != nil || h.Format == 0 {
		return errors.New("it is no history of traffic")
	}
	if h.Format != stateFormat {
		return errors.New("it is of another version of this program")
	}
	now := t.config.Now()
	// A clock that was ahead then, or is behind now, makes it no older.
	away := max(0, int64(now.Round(0).Sub(h.At)/time.Second))
	_, _, byHour := newHistories()
	if away > byHour.keep*byHour.seconds {
		return fmt.Errorf("it ends at %s, and all of it is too old by the clock of now", h.At.Format(time.RFC3339))
	}
	if h.Second < 0 || h.Second > 1<<40 {
		return errDamaged
	}
	all, networks, err := lines.histories(h.Second)
	if err != nil {
		return err
	}
	t.begin(now, h.Second+away, all, networks)
	return nil
}

// begin goes on at a second with what was read.
func (t *Traffic) begin(now time.Time, second int64, all *histories, networks map[string]*network) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.began, t.looked, t.before, t.second = now, now, second, second
	t.all = *all
	t.all.advance(second)
	for _, n := range networks {
		n.past.advance(second)
	}
	t.adding.Lock()
	defer t.adding.Unlock()
	t.networks.Store(&networks)
}

// lineReader reads the lines of a state.
type lineReader struct {
	from   *bufio.Reader
	digest hash.Hash
	sum    string // of all lines before the last
}

// next reads a line.
func (r *lineReader) next(into any) error {
	var whole []byte
	for {
		part, err := r.from.ReadSlice('\n')
		whole = append(whole, part...)
		switch {
		case len(whole) > largestLine:
			return errDamaged
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return errDamaged
		}
		break
	}
	r.sum = hex.EncodeToString(r.digest.Sum(nil))
	r.digest.Write(whole)
	decoder := json.NewDecoder(bytes.NewReader(whole))
	return decoder.Decode(into)
}

// histories reads all lines to the end, which says whether they are as they were written.
func (r *lineReader) histories(second int64) (*histories, map[string]*network, error) {
	var all *histories
	networks := make(map[string]*network)
	for {
		var l line
		if err := r.next(&l); err != nil {
			return nil, nil, errDamaged
		}
		if l.Digest != "" {
			if l.Digest != r.sum || all == nil {
				return nil, nil, errDamaged
			}
			return all, networks, nil
		}
		past, err := l.histories(second)
		if err != nil {
			return nil, nil, err
		}
		if l.Network == nil {
			all = past
			continue
		}
		n := newNetwork(*l.Network)
		n.past = *past
		networks[n.name] = n
	}
}

// histories checks what a line says.
func (l *line) histories(second int64) (*histories, error) {
	past := newHistoriesOf()
	if l.Minutes == nil || l.Hours == nil {
		return nil, errDamaged
	}
	past.bySecond.now = second
	return past, errors.Join(past.byMinute.restore(l.Minutes, second), past.byHour.restore(l.Hours, second))
}

// restore takes over what was written, if it is in order.
func (h *history) restore(k *kept, second int64) error {
	h.now, h.blocks = k.Now, k.Blocks
	if k.Open != nil {
		h.open = *k.Open
	}
	if k.Now < 0 || k.Now > second/h.seconds || int64(len(k.Blocks)) > h.keep {
		return errDamaged
	}
	before := int64(-1)
	for _, b := range k.Blocks {
		if b.First <= before || b.Last < b.First || b.Last >= k.Now+1 {
			return errDamaged
		}
		before = b.Last
		if err := b.read(func(int64, *point) {}); err != nil {
			return err
		}
	}
	return nil
}
