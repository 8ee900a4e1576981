package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/config"
)

// A small server is small: at the beginning, and after a thousand queries.
func TestIdleFootprint(t *testing.T) {
	azure := azureDNS(t)
	m, at, admin := newServiceManager(t)
	example := string(config.Example())
	_, networks, found := strings.Cut(example, "\n[endpoints.")
	if !found {
		t.Fatal("the example has no set of endpoints to begin with")
	}
	listen := fmt.Sprintf("[listen]\ndns = [%q]\nadmin = %q\n", at, admin)
	m.config = writeConfig(t, listen+upstreamTable(azure.Addr)+"\n[endpoints."+networks)
	t.Setenv("GOMAXPROCS", "8") // a laptop has as many processors, and readers
	command, talk := m.start()
	m.await("READY=1")
	defer m.stop(command, talk)
	own := func() int {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", command.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "RssAnon:")
		kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			t.Fatal(err)
		}
		return kilobytes
	}
	begun := own()
	dialer := &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(europe)}}
	client := &dns.Client{Timeout: 10 * time.Second, Dialer: dialer}
	for i := range 1000 {
		name := "momenta-eun.database.windows.net."
		if i%2 == 0 {
			name = fmt.Sprintf("n%d.contoso.com.", i)
		}
		reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), at.String())
		if err != nil || reply.Rcode == dns.RcodeRefused || reply.Truncated {
			t.Fatalf("%s: %v, %v", name, reply, err)
		}
	}
	if after := own(); max(begun, after) > mostIdle {
		t.Errorf("%d kB at the beginning, %d after 1,000 queries: want at most %d", begun, after, mostIdle)
	} else {
		t.Logf("%d kB at the beginning, %d after 1,000 queries", begun, after)
	}
}
