package forward_test

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/resolver/forward"
	"pldns/zones"
)

// BenchmarkUnique asks for names that nobody has asked for, over a cache, as the
// chain does. What it allocates is what a forwarded question leaves behind; the
// server is in the same process but allocates nothing.
func BenchmarkUnique(b *testing.B) {
	p := running(b, forward.Config{Name: "azure", Timeout: ample, Servers: []forward.Server{plain(quickServer(b))}})
	c := cache.New(cache.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	defer func() { cancel(); <-done }()
	group := c.Group("azure", p)
	var asked atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		told := make(chan error, 1)
		done := func(_ resolver.Reply, err error) { told <- err }
		for pb.Next() {
			name := zones.NameOf("u" + strconv.FormatInt(asked.Add(1), 10) + ".example.")
			_, pending, err := group.Start(resolver.Question{Name: name, Type: dns.TypeA}, resolver.Asker{}, time.Time{}, done)
			if pending {
				err = <-told
			}
			if err != nil {
				b.Error(err)
			}
		}
	})
}

// quickServer answers every question with one address, and allocates nothing.
func quickServer(tb testing.TB) netip.AddrPort {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		packet := make([]byte, 4096)
		for {
			n, peer, err := conn.ReadFromUDPAddrPort(packet)
			if err != nil {
				return
			}
			end := 12
			for packet[end] != 0 {
				end += int(packet[end]) + 1
			}
			end += 5
			opt := packet[n:n]
			if n >= end+11 {
				opt = []byte{0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0}
			}
			packet[2], packet[3], packet[7], packet[11] = packet[2]|0x80, 0x80, 1, byte(len(opt)/11)
			reply := append(packet[:end], 0xC0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1)
			_, _ = conn.WriteToUDPAddrPort(append(reply, opt...), peer)
		}
	}()
	tb.Cleanup(func() { _ = conn.Close(); <-ended })
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}
