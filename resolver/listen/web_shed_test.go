package listen_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/listen"
)

// TestHTTPSTooMany: a client that asks more over HTTPS than its share is told so by HTTP,
// which no client takes for a failure of the name, and not as fast as it can ask again.
// Its private names, what is cached, and all that others ask are answered at once.
func TestHTTPSTooMany(t *testing.T) {
	const limit, over = 8, 4
	e := startHub(t, listen.Config{InFlight: limit, Drain: time.Millisecond}, time.Hour)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.1.1")}}
	client := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: e.tls.Clone(), ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	type said struct {
		status int
		after  string
		took   time.Duration
	}
	replies := make(chan said, limit+over)
	ask := func(name string) (said, error) {
		began := time.Now()
		in, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+e.HTTPSAddrs()[0].String()+"/dns-query", bytes.NewReader(pack(t, query(name))))
		if err != nil {
			return said{}, err
		}
		in.Header.Set("Content-Type", "application/dns-message")
		response, err := client.Do(in)
		if err != nil {
			return said{}, err
		}
		defer response.Body.Close()
		return said{response.StatusCode, response.Header.Get("Retry-After"), time.Since(began)}, nil
	}
	if _, err := ask("mydb.database.windows.net"); err != nil { // one connection for all
		t.Fatal(err)
	}
	for i := range limit + over {
		go func() {
			if one, err := ask(fmt.Sprintf("silent-%d.example", i)); err == nil {
				replies <- one
			}
		}()
	}
	for range over {
		one := <-replies
		if one.status != http.StatusTooManyRequests || one.after != "1" || one.took < time.Second*9/10 {
			t.Errorf("who asks too much was told %d, Retry-After %q, after %v", one.status, one.after, one.took)
		}
	}
	for _, name := range []string{"mydb.database.windows.net", "known.example"} {
		if one, err := ask(name); err != nil || one.status != http.StatusOK {
			t.Errorf("%s over the same connection: %+v, %v", name, one, err)
		}
	}
	for _, transport := range transports {
		if reply := e.ask(t, transport, "127.0.2.1", query("www.example")); reply.Rcode != dns.RcodeSuccess {
			t.Errorf("another network over %s: %v", transport, reply)
		}
	}
}
