package resolvertest_test

import (
	"errors"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// ask asks the upstream with a stock client.
func ask(t *testing.T, u *resolvertest.Upstream, transport, name string, qtype uint16) *dns.Msg {
	t.Helper()
	query := new(dns.Msg).SetQuestion(name, qtype)
	query.SetEdns0(1232, false)
	client := dns.Client{Net: transport, Timeout: 30 * time.Second}
	reply, _, err := client.Exchange(query, u.Addr.String())
	if err != nil {
		t.Fatalf("ask %s over %s: %v", name, transport, err)
	}
	return reply
}

func TestUpstreamAnswersLikeARecursiveResolver(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	tests := []struct {
		name  string
		asked string
		qtype uint16
		rcode int
		want  []string
		soa   string
	}{
		{"a whole chain", "contoso.blob.core.windows.net.", dns.TypeA, dns.RcodeSuccess, []string{
			"contoso.blob.core.windows.net. CNAME contoso.privatelink.blob.core.windows.net.",
			"contoso.privatelink.blob.core.windows.net. CNAME blob.fra24prdstr02a.store.core.windows.net.",
			"blob.fra24prdstr02a.store.core.windows.net. A 203.0.113.4",
		}, ""},
		{"NXDOMAIN at the end of a chain", "absent.blob.core.windows.net.", dns.TypeA, dns.RcodeNameError, []string{
			"absent.blob.core.windows.net. CNAME absent.privatelink.blob.core.windows.net.",
		}, "privatelink.blob.core.windows.net."},
		{"NODATA", "www.contoso.com.", dns.TypeTXT, dns.RcodeSuccess, nil, "contoso.com."},
		{"NODATA at an empty non-terminal", "blob.core.windows.net.", dns.TypeA, dns.RcodeSuccess, nil, "."},
		{"the alias itself", "db.contoso.com.", dns.TypeCNAME, dns.RcodeSuccess, []string{
			"db.contoso.com. CNAME momenta-eun.database.windows.net.",
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, transport := range []string{"udp", "tcp"} {
				reply := ask(t, u, transport, tt.asked, tt.qtype)
				if reply.Rcode != tt.rcode || !reply.RecursionAvailable {
					t.Errorf("over %s: got rcode %d, RA %v", transport, reply.Rcode, reply.RecursionAvailable)
				}
				resolvertest.SameRecords(t, "answer over "+transport, reply.Answer, tt.want...)
				if tt.soa != "" && (len(reply.Ns) != 1 || reply.Ns[0].Header().Name != tt.soa) {
					t.Errorf("over %s: got authority %v, want the SOA of %s", transport, reply.Ns, tt.soa)
				}
			}
		})
	}
	if got := u.Count("www.contoso.com.", dns.TypeTXT, resolvertest.TCP); got != 1 {
		t.Errorf("counted %d questions over TCP, want 1", got)
	}
	if got := u.Total(); got != 2*len(tests) {
		t.Errorf("counted %d questions, want %d", got, 2*len(tests))
	}
}

func TestTruncatedOverUDPIsWholeOverTCP(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	u.On("www.contoso.com", resolvertest.Truncated)
	if reply := ask(t, u, "udp", "www.contoso.com.", dns.TypeA); !reply.Truncated || len(reply.Answer) != 0 {
		t.Errorf("over UDP: TC %v with %d records", reply.Truncated, len(reply.Answer))
	}
	if reply := ask(t, u, "tcp", "www.contoso.com.", dns.TypeA); reply.Truncated || len(reply.Answer) != 1 {
		t.Errorf("over TCP: TC %v with %d records", reply.Truncated, len(reply.Answer))
	}
}

func TestDelayedAnswersOverTakeEachOtherOnOneConnection(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	release := make(chan struct{})
	u.On("db.contoso.com", resolvertest.Delay(release))

	conn, err := net.Dial("tcp", u.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream := &dns.Conn{Conn: conn}
	for _, name := range []string{"db.contoso.com.", "www.contoso.com."} {
		if err := stream.WriteMsg(new(dns.Msg).SetQuestion(name, dns.TypeA)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"www.contoso.com.", "db.contoso.com."} {
		reply, err := stream.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		if got := reply.Question[0].Name; got != want {
			t.Errorf("got the answer for %s, want %s", got, want)
		}
		if want == "www.contoso.com." {
			close(release)
		}
	}
}

func TestStopAndRestartOnTheSamePort(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	u.Stop()
	if conn, err := net.Dial("tcp", u.Addr.String()); err == nil {
		_ = conn.Close()
		t.Error("a stopped upstream accepts connections")
	}
	conn, err := net.Dial("udp", u.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("anybody?")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a stopped upstream says over UDP: %v", err)
	}
	if thief, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(u.Addr)); err == nil {
		_ = thief.Close()
		if runtime.GOOS == "linux" {
			t.Error("somebody else gets the port of a stopped upstream")
		}
	}
	u.Restart(t)
	ask(t, u, "udp", "www.contoso.com.", dns.TypeA)
	ask(t, u, "tcp", "www.contoso.com.", dns.TypeA)
	u.Wait(t, "www.contoso.com.", dns.TypeA, 2)
}
