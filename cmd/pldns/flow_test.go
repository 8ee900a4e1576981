package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// flow asks one question at a steady rate over UDP, whether answers come or not.
type flow struct {
	tb     testing.TB
	query  []byte
	judge  func(lane int, reply []byte, since int64) string // what is wrong with a reply, if anything
	since  func(lane int) int64                             // is asked when a query is sent
	lanes  []*lane
	asked  atomic.Int64
	wrong  atomic.Int64
	lost   atomic.Int64
	began  time.Time
	ending context.CancelFunc
	work   sync.WaitGroup
}

// lane is one socket of a flow, and the queries under way on it, by id.
type lane struct {
	number  int
	conn    *net.UDPConn
	next    uint16
	pending [1 << 16]atomic.Int64 // what since said when it was sent, plus 1; 0 for none
	left    atomic.Int64
}

const lanes = 8

// startFlow asks from a local address until finish is called.
func startFlow(tb testing.TB, from string, to netip.AddrPort, rate int, query *dns.Msg,
	since func() int64, judge func(*dns.Msg, int64) string) *flow {
	tb.Helper()
	return startFlows(tb, from, slices.Repeat([]netip.AddrPort{to}, lanes), rate, query,
		func(int) int64 { return since() }, func(_ int, packet []byte, since int64) string {
			reply := new(dns.Msg)
			if err := reply.Unpack(packet); err != nil {
				return "a reply cannot be read: " + err.Error()
			}
			return judge(reply, since)
		})
}

// startFlows is startFlow for several servers, with a lane to each, over which the rate is
// spread. Replies are as they came.
func startFlows(tb testing.TB, from string, to []netip.AddrPort, rate int, query *dns.Msg,
	since func(lane int) int64, judge func(lane int, reply []byte, since int64) string) *flow {
	tb.Helper()
	wire, err := query.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	f := &flow{tb: tb, query: wire, judge: judge, since: since, began: time.Now(), ending: cancel}
	for number, server := range to {
		conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, net.UDPAddrFromAddrPort(server))
		if err != nil {
			tb.Fatal(err)
		}
		_ = conn.SetReadBuffer(4 << 20)
		l := &lane{number: number, conn: conn}
		f.lanes = append(f.lanes, l)
		f.work.Go(func() { f.read(l) })
	}
	f.work.Go(func() { f.send(ctx, rate) })
	return f
}

// send keeps to the rate; what it could not send in time it sends late.
func (f *flow) send(ctx context.Context, rate int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		due := int64(time.Since(f.began).Seconds() * float64(rate))
		for f.asked.Load() < due && ctx.Err() == nil {
			f.sendOne(f.lanes[f.asked.Add(1)%int64(len(f.lanes))])
		}
	}
}

func (f *flow) sendOne(l *lane) {
	l.next++
	if l.pending[l.next].Swap(f.since(l.number)+1) != 0 {
		f.lost.Add(1) // it was sent 65,536 queries ago
	} else {
		l.left.Add(1)
	}
	binary.BigEndian.PutUint16(f.query, l.next)
	if _, err := l.conn.Write(f.query); err != nil {
		f.tb.Errorf("send a query: %v", err)
	}
}

func (f *flow) read(l *lane) {
	packet := make([]byte, 4096)
	for {
		n, err := l.conn.Read(packet)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil || n < 12 {
			f.complain(fmt.Sprintf("a reply of %d octets cannot be read: %v", n, err))
			continue
		}
		since := l.pending[binary.BigEndian.Uint16(packet)].Swap(0)
		if since == 0 {
			f.complain("a reply to no query")
			continue
		}
		if wrong := f.judge(l.number, packet[:n], since-1); wrong != "" {
			f.complain(wrong)
		}
		l.left.Add(-1)
	}
}

// complain counts, and tells the first of what is wrong.
func (f *flow) complain(what string) {
	if f.wrong.Add(1) <= 10 {
		f.tb.Error(what)
	}
}

// finish ends the asking, waits for the answers that are still to come, and tells
// how many queries were asked and never answered.
func (f *flow) finish() (asked, lost int64) {
	f.ending()
	for deadline := time.Now().Add(20 * time.Second); f.underWay() > 0 && time.Now().Before(deadline); {
		<-time.After(10 * time.Millisecond)
	}
	for _, l := range f.lanes {
		_ = l.conn.SetReadDeadline(time.Now())
	}
	f.work.Wait()
	for _, l := range f.lanes {
		l.conn.Close()
	}
	return f.asked.Load(), f.lost.Load() + f.underWay()
}

func (f *flow) underWay() (sum int64) {
	for _, l := range f.lanes {
		sum += l.left.Load()
	}
	return sum
}
