package traffic

import (
	"encoding/binary"
	"slices"
)

// history is what was answered in steps of one length, as far back as is kept. Steps are
// numbered from the beginning of the first run.
type history struct {
	seconds  int64 // of a step
	keep     int64 // steps that are kept
	perBlock int64 // steps that a block has at most
	now      int64 // the step that goes on
	open     sum   // of that step
	blocks   []block
}

// block are steps that are over, one after the other: how many steps each is behind the
// one before, and the point. Steps without an answer are not there. What is there never
// changes, so that whoever has a copy of a block may read it.
type block struct {
	First int64  `json:"first"`
	Last  int64  `json:"last"`
	Data  []byte `json:"data"`
}

// blockOctets is what a block takes besides its data.
const blockOctets = 48

func newHistories() (bySecond, byMinute, byHour history) {
	return history{seconds: 1, keep: 60, perBlock: 20},
		history{seconds: 60, keep: 24 * 60, perBlock: 60},
		history{seconds: 3600, keep: 90 * 24, perBlock: 48}
}

// advance ends the steps that are over at a second.
func (h *history) advance(second int64) {
	step := second / h.seconds
	if step <= h.now {
		return
	}
	if h.open.Counts.Total() > 0 {
		h.append(h.now, &point{h.open.Counts, h.open.quantiles()})
		h.open = sum{}
	}
	h.now = step
	for len(h.blocks) > 0 && h.blocks[0].Last < step-h.keep {
		h.blocks = slices.Delete(h.blocks, 0, 1)
	}
}

func (h *history) append(step int64, p *point) {
	last := len(h.blocks) - 1
	if last < 0 || step-h.blocks[last].First >= h.perBlock {
		if last >= 0 {
			h.blocks[last].Data = slices.Clone(h.blocks[last].Data) // without room for more
		}
		h.blocks = append(h.blocks, block{First: step, Last: step})
		last++
	}
	b := &h.blocks[last]
	b.Data = p.append(binary.AppendUvarint(b.Data, uint64(step-b.Last)))
	b.Last = step
}

// octets is the memory that the steps take that are over.
func (h *history) octets() (octets int) {
	for _, b := range h.blocks {
		octets += blockOctets + cap(b.Data)
	}
	return octets
}

// shorten forgets the oldest block, if there is more than one.
func (h *history) shorten() bool {
	if len(h.blocks) < 2 {
		return false
	}
	h.blocks = slices.Delete(h.blocks, 0, 1)
	return true
}

// read gives the steps of a block to yield.
func (b *block) read(yield func(step int64, p *point)) error {
	step, rest := b.First, b.Data
	for len(rest) > 0 {
		behind, length := binary.Uvarint(rest)
		if length <= 0 || behind > uint64(b.Last-step) {
			return errDamaged
		}
		p, next, err := readPoint(rest[length:])
		if err != nil {
			return err
		}
		step, rest = step+int64(behind), next
		yield(step, &p)
	}
	if step != b.Last {
		return errDamaged
	}
	return nil
}
