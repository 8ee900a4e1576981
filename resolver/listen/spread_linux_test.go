//go:build !portable

package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
	"pldns/resolver/udpio"
)

// TestSpread: all readers are sent packets when one has found more than it could take, time
// after time; and one again when all read no more than the one did, as the first of them
// finds. Then it takes longer until all are tried again. Where one of all loses packets,
// the others are left to their clients.
func TestSpread(t *testing.T) {
	var alone []bool
	first, second := new(udpSocket), new(udpSocket)
	at := time.Now()
	steer := func(_ int, a bool) error { alone = append(alone, a); return nil }
	lost := uint32(0)
	s := &spread{first: first, start: at, steer: steer, lost: func(int) uint32 { return lost }}
	var b backlog
	read := func(u *udpSocket, packets int, after time.Duration) {
		at = at.Add(after)
		s.saw(u, 0, packets, at, &b)
	}
	count := func(u *udpSocket, packets int, after time.Duration) { // over many batches
		s.read.Add(int64(packets))
		read(u, 0, after)
	}
	full := func(batches int) {
		for range batches {
			read(first, udpio.BatchSize, time.Millisecond)
		}
	}
	expect := func(what string, want ...bool) {
		t.Helper()
		if !slices.Equal(alone, want) {
			t.Fatalf("%s: steered %v, want %v", what, alone, want)
		}
		alone = nil
	}
	const enough = int(behind/time.Millisecond) + 1
	for range 10 {
		full(enough - 1)
		read(first, udpio.BatchSize-1, time.Millisecond)
	}
	expect("bursts that come to an end")
	full(enough) // 32 packets a millisecond
	expect("no end of packets", false)

	perCalm := int(udpio.BatchSize * calm / time.Millisecond)
	count(second, perCalm*2, calm)
	expect("more than before, but the second cannot say what that is")
	read(first, 1, 0)
	expect("more than before")
	count(second, perCalm/4, calm)
	expect("few, but the first has not read")
	read(first, 1, time.Millisecond)
	expect("few", true)
	full(enough)
	expect("many again", false)

	for n := range longer + 2 {
		count(first, perCalm, calm)
		expect("as many as before", true)
		wait := int(behind<<(2*min(n+1, longer))/time.Millisecond) + 1
		full(wait - 1)
		expect("many, but not for long enough")
		full(1)
		expect("many for so long", false)
	}
	count(first, perCalm*2, calm)
	expect("more than before")
	read(first, 1, calm)
	expect("few", true)
	full(enough)
	expect("many, after more readers were of use", false)

	flood := backlog{} // of one client, at the second
	for range 2 {
		lost++
		for range int(calm/time.Millisecond) - 1 {
			at = at.Add(time.Millisecond)
			s.saw(second, 0, udpio.BatchSize, at, &flood)
		}
		read(first, 1, time.Millisecond)
		expect("the second loses packets")
	}

	count(first, 1, calm)
	expect("few", true)
	lost++
	full(enough)
	expect("packets are lost", false)
	count(first, perCalm, calm)
	expect("as many as before, but one would lose some")
	count(first, perCalm/4*3, calm)
	expect("less than one can read", true)
	full(enough)
	expect("many again, after more readers were of use", false)

	s.steer = func(int, bool) error { return errors.New("not now") }
	read(first, 1, calm)
	s.steer = steer
	read(first, 1, calm)
	expect("few, and the system refused at first", true)
}

// TestSteer: the system sends the packets of any client to the first socket of an address,
// until it is told to spread them.
func TestSteer(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0"} {
		readers, err := bindShared(netip.MustParseAddrPort(address), 4)
		if noIPv6(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		opened := sockets{udp: readers}
		defer opened.close()
		if newSpread(readers) == nil {
			t.Fatal("the system does not steer packets")
		}
		send := func() {
			for range 32 {
				conn, err := net.Dial(udp, readers[0].local.String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := conn.Write([]byte("query")); err != nil {
					t.Fatal(err)
				}
			}
		}
		others := func() (waiting int) {
			for _, u := range readers[1:] {
				if u.conn.Waiting() {
					waiting++
				}
			}
			return waiting
		}
		send()
		if !readers[0].conn.Waiting() || others() != 0 {
			t.Errorf("%s: packets for one reader: they wait for it: %v, and for %d others", address, readers[0].conn.Waiting(), others())
		}
		if err := readers[0].conn.Steer(false); err != nil {
			t.Fatal(err)
		}
		send()
		if others() == 0 { // by chance, once in 4^32
			t.Errorf("%s: packets for all readers wait for the first alone", address)
		}
	}
}

// TestLost: what finds no room in a socket is counted.
func TestLost(t *testing.T) {
	readers, err := bindShared(netip.MustParseAddrPort("127.0.0.1:0"), 1)
	if err != nil {
		t.Fatal(err)
	}
	opened := sockets{udp: readers}
	defer opened.close()
	conn, err := net.Dial(udp, readers[0].local.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lost := func() (n uint32) {
		if err := readers[0].conn.Use(func(fd int) { n = udpio.Lost(fd) }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := lost(); n != 0 {
		t.Errorf("%d packets lost of none", n)
	}
	for range 2*socketBuffer/1024 + 1 { // more than there is room for
		if _, err := conn.Write(make([]byte, 1024)); err != nil {
			t.Fatal(err)
		}
	}
	if lost() == 0 {
		t.Error("no packet is lost where there is no room")
	}
}

// TestReadersTakeOver: when more comes than one reader can take, the others are sent packets,
// too, and in calm one is enough again; whoever asks is answered all the time.
func TestReadersTakeOver(t *testing.T) {
	s, err := New(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: newEstate(t), Readers: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	spread := s.sockets.udp[0].spread
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error)
	go func() { result <- s.Run(ctx) }()
	packet, err := new(dns.Msg).SetQuestion("mydb.database.windows.net.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	dial := func() net.Conn {
		conn, err := net.Dial(udp, s.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	var flood sync.WaitGroup
	enough := make(chan struct{})
	for range 4 {
		conn := dial()
		flood.Go(func() {
			defer conn.Close()
			for range 5_000_000 {
				select {
				case <-enough:
					return
				default:
					_, _ = conn.Write(packet) // what finds no room is lost
				}
			}
		})
	}
	resolvertest.Until(t, "more readers than one", spread.all.Load)
	close(enough)
	flood.Wait()
	buf := make([]byte, 2048)
	resolvertest.Until(t, "one reader alone", func() bool {
		conn := dial() // the next may be the first reader's
		defer conn.Close()
		for asked := false; !asked; { // a packet may still find no room
			if _, err := conn.Write(packet); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			_, err := conn.Read(buf)
			asked = err == nil
		}
		return !spread.all.Load()
	})
	cancel()
	if err := <-result; err != nil {
		t.Error(err)
	}
}
