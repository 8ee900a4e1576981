package main

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
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
	judge  func(reply *dns.Msg, since int64) string // what is wrong with a reply, if anything
	since  func() int64                             // is asked when a query is sent
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
	wire, err := query.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	f := &flow{tb: tb, query: wire, judge: judge, since: since, began: time.Now(), ending: cancel}
	for range lanes {
		conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, net.UDPAddrFromAddrPort(to))
		if err != nil {
			tb.Fatal(err)
		}
		_ = conn.SetReadBuffer(4 << 20)
		l := &lane{conn: conn}
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
			f.sendOne(f.lanes[f.asked.Add(1)%lanes])
		}
	}
}

func (f *flow) sendOne(l *lane) {
	l.next++
	if l.pending[l.next].Swap(f.since()+1) != 0 {
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
		reply := new(dns.Msg)
		if err == nil {
			err = reply.Unpack(packet[:n])
		}
		if err != nil {
			f.complain("a reply cannot be read: " + err.Error())
			continue
		}
		since := l.pending[reply.Id].Swap(0)
		if since == 0 {
			f.complain("a reply to no query")
			continue
		}
		if wrong := f.judge(reply, since-1); wrong != "" {
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
