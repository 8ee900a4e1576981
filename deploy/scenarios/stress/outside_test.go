//go:build linux

package stress

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// outside is the upstream of all scenarios. By the last label but one of a name:
// quick names have an address, absent ones do not exist, silent ones are never
// answered, slow ones after a while, large ones with what the scenario says.
type outside struct {
	addr  string
	large func(kind uint16) []byte   // a packed reply to the question for a name of fresh
	slow  func(name string) []dns.RR // what slow names have besides addresses
}

// startOutside listens at a free port, over UDP and TCP, until the test ends.
func startOutside(t testing.TB, large func(uint16) []byte) *outside {
	t.Helper()
	o := &outside{large: large}
	packets, streams := listenBoth(t)
	o.addr = packets.LocalAddr().String()
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	for _, s := range []*dns.Server{{PacketConn: deaf{packets}, Handler: o}, {Listener: streams, Handler: o, MaxTCPQueries: -1}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		serving.Go(func() { _ = s.ActivateAndServe() })
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return o
}

// deaf does not hear questions for silent names. So they cost the outside little, and
// the question of a bystander does not wait there behind thousands of them: what is
// measured is the server.
type deaf struct{ net.PacketConn }

// silentLabel is the label of silent names as it stands in a packet, in any letter case.
var silentLabel = []byte("\x06silent\x07example")

// ReadFrom reads the next packet that is not about a silent name.
func (d deaf) ReadFrom(packet []byte) (int, net.Addr, error) {
	for {
		n, from, err := d.PacketConn.ReadFrom(packet)
		if err != nil || !bytes.Contains(bytes.ToLower(packet[:n]), silentLabel) {
			return n, from, err
		}
	}
}

// listenBoth opens a port that is free over UDP and over TCP.
func listenBoth(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	for {
		streams, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if packets, err := net.ListenPacket("udp", streams.Addr().String()); err == nil {
			return packets, streams
		}
		streams.Close()
	}
}

// slowFor is how long the answer to a slow name takes.
const slowFor = 700 * time.Millisecond

// ServeDNS answers one question.
func (o *outside) ServeDNS(w dns.ResponseWriter, asked *dns.Msg) {
	q := asked.Question[0]
	name := strings.ToLower(q.Name)
	reply := new(dns.Msg).SetReply(asked)
	reply.RecursionAvailable, reply.Compress = true, true
	labels := dns.SplitDomainName(name)
	kind := ""
	if len(labels) > 1 {
		kind = labels[len(labels)-2]
	}
	switch kind {
	case "silent":
		return
	case "slow":
		time.AfterFunc(slowFor, func() {
			if q.Qtype != dns.TypeA && o.slow != nil {
				reply.Answer = o.slow(q.Name)
			}
			o.answer(w, reply, q)
		})
		return
	case "absent":
		reply.Rcode = dns.RcodeNameError
		reply.Ns = []dns.RR{&dns.SOA{
			Hdr: dns.RR_Header{Name: "absent.example.", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60},
			Ns:  "ns.absent.example.", Mbox: "host.absent.example.", Serial: 1, Refresh: 60, Retry: 60, Expire: 60, Minttl: 60,
		}}
	case "large":
		if w.LocalAddr().Network() == "tcp" {
			o.writeLarge(w, asked)
			return
		}
		reply.Truncated = true
	default:
		o.answer(w, reply, q)
		return
	}
	_ = w.WriteMsg(reply)
}

// writeLarge writes what was packed for another name of the same length.
func (o *outside) writeLarge(w dns.ResponseWriter, asked *dns.Msg) {
	packet := bytes.Clone(o.large(asked.Question[0].Qtype))
	binary.BigEndian.PutUint16(packet, asked.Id)
	if _, err := dns.PackDomainName(asked.Question[0].Name, packet, 12, nil, false); err == nil {
		_, _ = w.Write(packet)
	}
}

// answer answers with an address where one is asked for.
func (o *outside) answer(w dns.ResponseWriter, reply *dns.Msg, q dns.Question) {
	if q.Qtype == dns.TypeA {
		reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: net.IPv4(203, 0, 113, 9)}}
	}
	_ = w.WriteMsg(reply)
}

// forwarding are the settings that send everything to the outside.
func (o *outside) forwarding(more string) string {
	return fmt.Sprintf("[upstreams.azure]\nservers = [%q]\n%s\n[forward]\n\".\" = \"azure\"\n", o.addr, more)
}
