package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// A copy changes while the configuration is reloaded again and again: in the end both are
// served as they were last, and meanwhile no query fails and nothing goes back.
func TestZonesChangeDuringReloads(t *testing.T) {
	const rounds = 3 // a second each: what NOTIFY asks for is asked for once a second
	at := func(serial int) string { return fmt.Sprintf("host.corp.example. 60 A 10.20.0.%d\n", serial) }
	one := startCorp(t, at(1))
	plain := copied(filepath.Join(t.TempDir(), "zones"), "", one.addr, one.addr)
	stamped := func(stamp int) string {
		const head = "[networks.europe.endpoints]\n"
		return strings.Replace(plain, head, fmt.Sprintf("%s\"stamp.contoso.com\" = \"10.0.9.%d\"\n", head, stamp), 1)
	}
	r := start(t, stamped(1))
	r.wait("udp", europe, "host.corp.example", "NOERROR | A 10.20.0.1", "at first")

	var reloading sync.WaitGroup
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop); reloading.Wait() })
	t.Cleanup(end)
	last := 1
	reloading.Go(func() {
		for stamp := 2; ; stamp = stamp%200 + 1 {
			select {
			case <-stop:
				return
			default:
			}
			r.rewrite(stamped(stamp))
			if code := r.reload(); code != 200 {
				t.Errorf("a reload is answered %d", code)
				return
			}
			if got, want := says(r.ask("udp", europe, "stamp.contoso.com", dns.TypeA)), fmt.Sprintf("NOERROR | A 10.0.9.%d", stamp); got != want {
				t.Errorf("after reload %d: %s", stamp, got)
			}
			last = stamp
		}
	})
	for serial := 2; serial < 2+rounds; serial++ {
		one.has(t, uint32(serial), at(serial))
		if got := r.notify(t, "corp.example."); got != dns.RcodeSuccess {
			t.Errorf("NOTIFY is answered %s", dns.RcodeToString[got])
		}
		before, after := fmt.Sprintf("NOERROR | A 10.20.0.%d", serial-1), fmt.Sprintf("NOERROR | A 10.20.0.%d", serial)
		for got := before; got != after; {
			seen := says(r.ask("udp", europe, "host.corp.example", dns.TypeA))
			if seen != got && seen != after {
				t.Fatalf("%s, after %s", seen, got)
			}
			got = seen
		}
	}
	end()
	if got := says(r.ask("tcp", europe, "host.corp.example", dns.TypeA)); got != fmt.Sprintf("NOERROR | A 10.20.0.%d", 1+rounds) {
		t.Errorf("the zone in the end: %s", got)
	}
	if got := says(r.ask("tcp", europe, "stamp.contoso.com", dns.TypeA)); got != fmt.Sprintf("NOERROR | A 10.0.9.%d", last) {
		t.Errorf("the configuration in the end: %s", got)
	}
}
