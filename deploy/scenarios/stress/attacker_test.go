//go:build linux

package stress

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// attackEnv holds an attack, as JSON, in the environment of the process that makes it.
const attackEnv = "PLDNS_STRESS_ATTACK"

// attack is what one client does to the server. It is made by a process of its own,
// as it would be by another machine: in one process, the bystanders would wait for the
// attacker's goroutines, and that would be measured, not the server.
type attack struct {
	To     netip.AddrPort
	From   string // an address
	Domain string // of the outside; every name asked below it is new

	Rate int // queries a second over UDP, from several sockets

	Connections int // TCP connections, and how many questions each keeps waiting
	Depth       int

	QUIC quicAttack // to the same port
}

// start begins the attack. It ends with ctx; wait returns then.
func (a attack) start(ctx context.Context, t testing.TB) (wait func()) {
	t.Helper()
	what, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	process := exec.CommandContext(ctx, program)
	if a.QUIC != (quicAttack{}) {
		// It takes as much of the processors as the server, which another machine would not:
		// it has what nobody else wants.
		process = exec.CommandContext(ctx, "chrt", "--idle", "0", program)
	}
	process.Env = append(os.Environ(), attackEnv+"="+string(what), "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING=true")
	process.Stderr = os.Stderr
	// It ends with its standard input, so that it cannot outlive the test.
	if _, err := process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := process.Wait(); err != nil && ctx.Err() == nil {
			t.Errorf("the attacker ended early: %v", err)
		}
	}
}

// attackFrom makes the attack of the environment until standard input ends.
func attackFrom(text string) int {
	var a attack
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		fmt.Fprintln(os.Stderr, attackEnv+":", err)
		return 2
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	var work sync.WaitGroup
	begin := func(how func(context.Context)) { work.Go(func() { how(ctx) }) }
	if a.Rate > 0 {
		for range flooders {
			begin(a.flood)
		}
	}
	for range a.Connections {
		begin(a.pipeline)
	}
	if a.QUIC != (quicAttack{}) {
		begin(func(ctx context.Context) { a.QUIC.attack(ctx, a.To) })
	}
	work.Wait()
	if ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "the server has closed every connection of the attacker")
		return 1
	}
	return 0
}

// flooders is how many sockets a flood over UDP comes from.
const flooders = 8

// flood sends its part of the queries at their rate, whatever becomes of them.
func (a attack) flood(ctx context.Context) {
	conn, err := dialer(a.From, "udp").Dial("udp", a.To.String())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer conn.Close()
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	began, sent := time.Now(), 0
	for id := uint16(0); ; {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for ; sent < int(now.Sub(began).Seconds()*float64(a.Rate)/flooders); sent++ {
				_, _ = conn.Write(wire(fresh(a.Domain), id))
				id++
			}
		}
	}
}

// pipeline keeps one connection full of queries.
func (a attack) pipeline(ctx context.Context) {
	conn, err := dialer(a.From, "tcp").Dial("tcp", a.To.String())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	ask := func(id uint16) error {
		_, err := conn.Write(framed(wire(fresh(a.Domain), id)))
		return err
	}
	for id := range uint16(a.Depth) {
		if ask(id) != nil {
			return
		}
	}
	for { // every answer makes room for another question
		packet, err := readFrame(conn)
		if err != nil || len(packet) < 2 || ask(binary.BigEndian.Uint16(packet)) != nil {
			return
		}
	}
}
