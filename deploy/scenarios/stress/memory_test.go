//go:build linux

package stress

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const (
	// budget is what the cache is given, and spare what the program may take besides.
	budget = 32 << 20
	spare  = 150 << 20
	// filling is how many times the wire forms of what is asked for fill the budget.
	filling = 2
	// packed is how large an answer is made, in octets.
	packed = 60_000
)

// TestMemoryIsWhatTheSettingSays: whatever type the answers of a domain have, and
// however much larger than its wire form such a record may become in memory, the
// program stays within the budget of its cache and a fixed sum.
func TestMemoryIsWhatTheSettingSays(t *testing.T) {
	s := chosen(t)
	for _, kind := range slices.Sorted(maps.Keys(dns.TypeToString)) {
		reply := packedReply(kind)
		if reply == nil || s.brief && !slices.Contains(telling, kind) {
			continue
		}
		t.Run(dns.TypeToString[kind], func(t *testing.T) {
			outside := startOutside(t, func(uint16) []byte { return reply })
			to := serve(t, s, outside.forwarding("")+fmt.Sprintf("[cache]\nbytes = %d\n", budget))
			answers := filling * budget / len(reply)
			asked := askTypes(t, to, kind, answers)
			got := to.peak()
			t.Logf("%d of %d answers of %d octets: resident %d MiB at most", asked, answers, len(reply), got>>20)
			if asked < answers/2 {
				t.Errorf("%d answers of %d came", asked, answers)
			}
			if got > budget+spare {
				t.Errorf("%d MiB are resident, want at most %d MiB", got>>20, (budget+spare)>>20)
			}
		})
	}
}

// telling are the types that a brief run tries: those whose records grow most in
// memory, and a few that everybody asks for.
var telling = []uint16{
	dns.TypeA, dns.TypeTXT, dns.TypeAPL, dns.TypeHIP, dns.TypeHTTPS,
}

// askers is how many questions are asked at once, each by a client of its own.
const askers = 16

// askTypes asks for so many names of a type over TCP, and tells how many were
// answered.
func askTypes(t testing.TB, to *server, kind uint16, names int) int {
	t.Helper()
	var answered atomic.Int64
	var asking sync.WaitGroup
	for i := range askers {
		conn, err := dialer(fmt.Sprintf("127.0.1.%d", 10+i), "tcp").Dial("tcp", to.dns.String())
		if err != nil {
			t.Fatal(err)
		}
		asking.Go(func() {
			defer conn.Close()
			for range names / askers {
				_ = conn.SetDeadline(time.Now().Add(patience))
				if _, err := conn.Write(framed(wireOf(fresh("large"), kind, 1))); err != nil {
					return
				}
				packet, err := readFrame(conn)
				if err != nil {
					return
				}
				if packet[3]&0xf == dns.RcodeSuccess && binary.BigEndian.Uint16(packet[6:]) > 0 {
					answered.Add(1)
				}
			}
		})
	}
	asking.Wait()
	return int(answered.Load())
}

// packedReply is a reply that holds what [answerOf] gives, nil where that is nothing.
func packedReply(kind uint16) []byte {
	name := fresh("large")
	msg := new(dns.Msg).SetQuestion(name, kind)
	msg.Response, msg.RecursionAvailable, msg.Compress = true, true, true
	if msg.Answer = answerOf(kind, name); len(msg.Answer) == 0 {
		return nil
	}
	packet, err := msg.Pack()
	if err != nil || len(packet) > dns.MaxMsgSize {
		panic(fmt.Sprintf("%s: %d octets, %v", dns.TypeToString[kind], len(packet), err))
	}
	return packet
}

// answerOf is an answer of a type that takes as much more memory than octets as the
// type allows; nil for types that nobody can ask for.
func answerOf(kind uint16, name string) []dns.RR {
	head := dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 300}
	empty := make([]string, packed)
	if slices.Contains(notAnswers, kind) {
		return nil
	}
	switch kind {
	case dns.TypeAPL:
		list := make([]dns.APLPrefix, packed/4)
		for i := range list {
			list[i].Network = net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
		}
		return []dns.RR{&dns.APL{Hdr: head, Prefixes: list}}
	case dns.TypeTXT:
		return []dns.RR{&dns.TXT{Hdr: head, Txt: empty}}
	case dns.TypeSPF:
		return []dns.RR{&dns.SPF{Hdr: head, Txt: empty}}
	case dns.TypeAVC:
		return []dns.RR{&dns.AVC{Hdr: head, Txt: empty}}
	case dns.TypeNINFO:
		return []dns.RR{&dns.NINFO{Hdr: head, ZSData: empty}}
	case dns.TypeRESINFO:
		return []dns.RR{&dns.RESINFO{Hdr: head, Txt: empty}}
	case dns.TypeNSEC:
		return []dns.RR{&dns.NSEC{Hdr: head, NextDomain: ".", TypeBitMap: everyType()}}
	case dns.TypeNSEC3:
		return []dns.RR{&dns.NSEC3{
			Hdr: head, Hash: 1, HashLength: 20, NextDomain: strings.Repeat("0", 32), TypeBitMap: everyType(),
		}}
	case dns.TypeCSYNC:
		return []dns.RR{&dns.CSYNC{Hdr: head, TypeBitMap: everyType()}}
	case dns.TypeHTTPS:
		return []dns.RR{&dns.HTTPS{SVCB: dns.SVCB{Hdr: head, Priority: 1, Target: ".", Value: hints()}}}
	case dns.TypeSVCB:
		return []dns.RR{&dns.SVCB{Hdr: head, Priority: 1, Target: ".", Value: hints()}}
	case dns.TypeHIP:
		servers := make([]string, packed)
		for i := range servers {
			servers[i] = "."
		}
		return []dns.RR{&dns.HIP{Hdr: head, HitLength: 1, PublicKeyLength: 1, Hit: "00", PublicKey: "AA==", RendezvousServers: servers}}
	}
	return manyOf(head)
}

// everyType is a full bitmap.
func everyType() []uint16 {
	all := make([]uint16, 1<<16-1)
	for i := range all {
		all[i] = uint16(i + 1)
	}
	return all
}

// hints are as many addresses as fit.
func hints() []dns.SVCBKeyValue {
	hint := make([]net.IP, 15_000)
	for i := range hint {
		hint[i] = net.IPv4(203, 0, byte(i>>8), byte(i)).To4()
	}
	return []dns.SVCBKeyValue{&dns.SVCBIPv4Hint{Hint: hint}}
}

// manyOf are many small records of the type of a header, which differ.
func manyOf(head dns.RR_Header) []dns.RR {
	text := manyTexts[head.Rrtype]
	if text == "" {
		return nil
	}
	var records []dns.RR
	for i := range 1200 {
		data := fmt.Sprintf(text, i>>8, i&255)
		rr, err := dns.NewRR(fmt.Sprintf("%s 300 IN %s %s", head.Name, dns.Type(head.Rrtype), data))
		if err != nil {
			panic(err)
		}
		records = append(records, rr)
	}
	return records
}

// TestSilentQuestionsAreCheap: ten thousand questions that nobody answers are under
// way at once, from many clients, and cost little each.
func TestSilentQuestionsAreCheap(t *testing.T) {
	s := chosen(t)
	const clients, each, most = 50, 200, 150 << 20
	outside := startOutside(t, nil)
	to := serve(t, s, outside.forwarding(""))
	observeAll(t, to.dns, time.Second)
	before := to.resident()
	for i := range clients {
		conn, err := dialer(fmt.Sprintf("127.0.1.%d", 100+i), "udp").Dial("udp", to.dns.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for id := range uint16(each) {
			_, _ = conn.Write(wire(fresh("silent"), id))
		}
	}
	under := observeAll(t, to.dns, 2*time.Second)
	grown := to.peak() - before
	t.Logf("%d silent questions: %d KiB each; resident %d MiB before, %d MiB at most", clients*each, grown/clients/each>>10, before>>20, to.peak()>>20)
	if grown > most {
		t.Errorf("%d MiB for %d silent questions, want at most %d MiB", grown>>20, clients*each, most>>20)
	}
	for _, b := range under {
		if b.share() < leastForwarded {
			t.Errorf("%s: %.1f %% answered: %v", b, 100*b.share(), b.wrong)
		}
	}
}
