package listen

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"pldns/resolver"
	"pldns/resolver/forward/share"
)

// usualWait is within which the outside answers as a rule. A query that waits longer
// gives way before others do.
const usualWait = 300 * time.Millisecond

// pendings are the queries that wait for the outside, over UDP or over streams. There
// is room for so many; how it is shared out, package share says.
type pendings struct {
	quota *share.Quota
	seed  maphash.Seed

	mu     sync.Mutex
	pulses map[uint64]*pulse
	spare  *pulse // those that are over, for the next
}

// pulse is what one answer may release at one time: the queries of clients that count
// as one for the same question.
type pulse struct {
	key        uint64
	held, most int
	next       *pulse // of those that are over
}

func newPendings(limit int) *pendings {
	return &pendings{quota: share.NewQuota(limit), seed: maphash.MakeSeed(), pulses: make(map[uint64]*pulse)}
}

// enter takes q in, for the addresses of its network that count as one client; false if
// there is no room for it.
func (p *pendings) enter(q *query, client netip.Prefix) bool {
	key := maphash.Comparable(p.seed, struct {
		client   netip.Prefix
		question resolver.Question
	}{client, q.asked.Question})
	p.mu.Lock()
	at := p.pulses[key]
	if at == nil {
		if at = p.spare; at == nil {
			at = new(pulse)
		}
		p.spare = at.next
		*at = pulse{key: key}
		p.pulses[key] = at
	}
	at.held++
	at.most = max(at.most, at.held)
	q.wait.pulse = at
	p.mu.Unlock()
	if !p.quota.Enter(&q.wait.slot, share.Key{Network: q.network, Client: client, Name: q.asked.Name}, q.began, usualWait, q) {
		p.leave(q)
		return false
	}
	return true
}

// leave is the end of q; false if its place was taken away.
func (p *pendings) leave(q *query) (held bool) {
	w := &q.wait
	p.mu.Lock()
	if w.pulse.held--; w.pulse.held == 0 {
		delete(p.pulses, w.pulse.key)
		w.pulse.next, p.spare = p.spare, w.pulse
	}
	w.pulse = nil
	p.mu.Unlock()
	return p.quota.Leave(&w.slot)
}

// together is how many queries one answer has to do with that q waits for.
func (p *pendings) together(q *query) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return q.wait.pulse.most
}
