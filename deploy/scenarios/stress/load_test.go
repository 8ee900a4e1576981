//go:build linux

package stress

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
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

// serial makes names that nobody has asked for yet, each process its own.
var serial atomic.Int64

// fresh is a new name below a domain of the outside. All have the same length.
func fresh(kind string) string {
	return fmt.Sprintf("n%07x%08d.%s.example.", os.Getpid(), serial.Add(1), kind)
}

// wire is a query for an address.
func wire(name string, id uint16) []byte { return wireOf(name, dns.TypeA, id) }

// wireOf is a query for a type.
func wireOf(name string, kind, id uint16) []byte {
	packet, err := new(dns.Msg).SetQuestion(name, kind).Pack()
	if err != nil {
		panic(err)
	}
	binary.BigEndian.PutUint16(packet, id)
	return packet
}

// dialer dials from an address of loopback.
func dialer(from, network string) *net.Dialer {
	addr := netip.MustParseAddr(from)
	if network == "tcp" {
		return &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)), Timeout: patience}
	}
	return &net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0))}
}

func mustAddrPort(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

// framed is a message with its length in front.
func framed(packet []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)
}

// readFrame reads a message with its length in front.
func readFrame(from io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return nil, err
	}
	packet := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(from, packet)
	return packet, err
}

// bystander is a client that has nothing to do with the load, and what it saw.
type bystander struct {
	from, network, kind string // kind is empty for the private name

	mu       sync.Mutex
	asked    int
	answered int
	took     []time.Duration
	wrong    map[string]int
}

// bystanders are one for each kind of question, over UDP and TCP, in the network of
// the load and in another.
func bystanders() []*bystander {
	var all []*bystander
	for _, from := range []string{"127.0.1.77", "127.0.2.77"} {
		for _, network := range []string{"udp", "tcp"} {
			for _, kind := range []string{"quick", ""} {
				all = append(all, &bystander{from: from, network: network, kind: kind, wrong: make(map[string]int)})
			}
		}
	}
	return all
}

func (b *bystander) String() string {
	kind := cmp.Or(b.kind, "private")
	return fmt.Sprintf("%s names over %s from %s", kind, b.network, b.from)
}

// pace is how often a bystander asks. A client of this kind gives up after clientPatience.
const (
	pace           = 20 * time.Millisecond
	clientPatience = 5 * time.Second
)

// observe asks at its pace until ctx ends, and waits for what is under way.
func (b *bystander) observe(ctx context.Context, to netip.AddrPort) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	var under sync.WaitGroup
	defer under.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			under.Go(func() { b.ask(to) })
		}
	}
}

// ask asks once, over a connection of its own.
func (b *bystander) ask(to netip.AddrPort) {
	name := private
	if b.kind != "" {
		name = fresh(b.kind)
	}
	client := dns.Client{Net: b.network, Timeout: clientPatience, Dialer: dialer(b.from, b.network)}
	began := time.Now()
	reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), to.String())
	took := time.Since(began)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	switch {
	case err != nil:
		b.wrong[err.Error()]++
	case reply.Rcode != dns.RcodeSuccess || len(reply.Answer) == 0:
		b.wrong[dns.RcodeToString[reply.Rcode]]++
	default:
		b.answered++
		b.took = append(b.took, took)
	}
}

// quantile is a quantile of how long answers took.
func (b *bystander) quantile(q float64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(b.took))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// share is how much of what was asked was answered.
func (b *bystander) share() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return float64(b.answered) / float64(max(b.asked, 1))
}

// observeAll has every bystander ask for a time.
func observeAll(t testing.TB, to netip.AddrPort, length time.Duration) []*bystander {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	all := bystanders()
	var work sync.WaitGroup
	for _, b := range all {
		work.Go(func() { b.observe(ctx, to) })
	}
	work.Wait()
	return all
}
