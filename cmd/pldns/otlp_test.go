package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/miekg/dns"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// collector is a collector of the test's own: it gives the sum of the queries that each
// request tells, and where it was sent. Held, it answers nobody.
type collector struct {
	*httptest.Server
	queries chan float64
	held    chan struct{}
}

func newCollector(t *testing.T) collector {
	c := collector{queries: make(chan float64, 1000), held: make(chan struct{})}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body, err := io.ReadAll(unpacked)
		var request collectorpb.ExportMetricsServiceRequest
		if err := errors.Join(err, proto.Unmarshal(body, &request)); err != nil {
			t.Error(err)
		}
		if r.URL.Path == "/held/v1/metrics" {
			select {
			case c.held <- struct{}{}:
				<-r.Context().Done()
			case <-r.Context().Done():
			}
			return
		}
		c.queries <- queriesIn(t, &request)
	}))
	t.Cleanup(c.Close)
	return c
}

// queriesIn sums the queries up that a request tells, and holds who tells it.
func queriesIn(t *testing.T, request *collectorpb.ExportMetricsServiceRequest) (sum float64) {
	said := make(map[string]string)
	for _, of := range request.GetResourceMetrics() {
		for _, a := range of.GetResource().GetAttributes() {
			said[a.GetKey()] = a.GetValue().GetStringValue()
		}
		for _, scope := range of.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				if m.GetName() != "pldns_queries_total" {
					continue
				}
				for _, point := range m.GetSum().GetDataPoints() {
					sum += point.GetAsDouble()
				}
			}
		}
	}
	if said["service.name"] != "pldns" || said["service.instance.id"] == "" || said["service.version"] == "" || said["deployment.environment"] != "test" {
		t.Errorf("the sender is %v", said)
	}
	return sum
}

// until waits for a request that tells so many queries.
func (c collector) until(t *testing.T, want float64) {
	t.Helper()
	for patience := time.After(time.Minute); ; {
		select {
		case got := <-c.queries:
			if got == want {
				return
			}
		case <-patience:
			t.Fatalf("no request tells %v queries", want)
		}
	}
}

// Where a collector is named, it gets the metrics, also by a reload. One that answers
// nothing changes neither an answer nor the end.
func TestCollector(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
	azure := azureDNS(t)
	c := newCollector(t)
	with := func(path string) string {
		return regions(upstreamTable(azure.Addr)) + fmt.Sprintf("[otlp]\nendpoint = %q\nevery = \"1s\"\n", c.URL+path)
	}
	r := start(t, regions(upstreamTable(azure.Addr)))
	for range 7 {
		r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
	}
	if code := r.reconfigure(with("")); code != http.StatusOK {
		t.Fatalf("a reload that names a collector: %d", code)
	}
	c.until(t, 7)
	if code := r.reconfigure(with("/held")); code != http.StatusOK {
		t.Fatalf("a reload that names another collector: %d", code)
	}
	<-c.held
	r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
	began := time.Now()
	r.stop()
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
	r.ended <- nil
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("with a collector that answers nothing, the end took %s", took)
	}
}
