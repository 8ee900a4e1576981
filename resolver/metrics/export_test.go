package metrics_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"pldns/resolver/metrics"
)

// received is a request to a collector.
type received struct {
	header   http.Header
	path     string
	resource map[string]string
	metrics  map[string]*metricspb.Metric
}

// receive reads a request as a collector does.
func receive(t *testing.T, r *http.Request) received {
	t.Helper()
	unpacked, err := gzip.NewReader(r.Body)
	if err != nil {
		t.Error(err)
		return received{}
	}
	body, err := io.ReadAll(unpacked)
	var request collectorpb.ExportMetricsServiceRequest
	if err := errors.Join(err, proto.Unmarshal(body, &request)); err != nil {
		t.Error(err)
		return received{}
	}
	got := received{r.Header, r.URL.Path, make(map[string]string), make(map[string]*metricspb.Metric)}
	for _, of := range request.GetResourceMetrics() {
		for _, a := range of.GetResource().GetAttributes() {
			got.resource[a.GetKey()] = a.GetValue().GetStringValue()
		}
		for _, scope := range of.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				got.metrics[m.GetName()] = m
			}
		}
	}
	return got
}

// export runs what sends the metrics of a recorder until the function that is returned
// is called, which gives how long the end took.
func export(t *testing.T, r *metrics.Recorder, to metrics.Collector) (stop func() time.Duration) {
	t.Helper()
	to.Resource = resource.NewSchemaless(attribute.String("service.name", "pldns"))
	to.Client = &http.Client{Transport: new(http.Transport)}
	exporter, err := r.Exporter(to)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := exporter.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return func() time.Duration {
		began := time.Now()
		cancel()
		<-ended
		return time.Since(began)
	}
}

// A collector gets what Prometheus reads, at once and once more at the end: the same
// names, kinds, labels and values.
func TestExport(t *testing.T) {
	requests := make(chan received, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { requests <- receive(t, r) }))
	defer collector.Close()
	r := exercised(t)
	stop := export(t, r, metrics.Collector{
		Endpoint: collector.URL + "/otlp", Headers: map[string]string{"Authorization": "Bearer secret"}, Every: time.Hour, Log: slog.New(slog.DiscardHandler),
	})
	first := <-requests
	if first.path != "/otlp/v1/metrics" || first.header.Get("Authorization") != "Bearer secret" || first.resource["service.name"] != "pldns" {
		t.Errorf("a request to %s with %v of %v", first.path, first.header, first.resource)
	}
	families, err := r.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "pldns_") || family.GetName() == "pldns_otlp_exports_total" {
			continue
		}
		points := 0
		m := first.metrics[family.GetName()]
		switch family.GetType() {
		case dto.MetricType_COUNTER:
			points = same(t, family, m.GetSum().GetDataPoints(), func(m *dto.Metric) float64 { return m.GetCounter().GetValue() })
		case dto.MetricType_GAUGE:
			points = same(t, family, m.GetGauge().GetDataPoints(), func(m *dto.Metric) float64 { return m.GetGauge().GetValue() })
		case dto.MetricType_HISTOGRAM:
			points = len(m.GetHistogram().GetDataPoints())
			if got, want := m.GetHistogram().GetDataPoints()[0].GetCount(), family.GetMetric()[0].GetHistogram().GetSampleCount(); got != want {
				t.Errorf("%s counts %d, want %d", family.GetName(), got, want)
			}
		}
		if points != len(family.GetMetric()) {
			t.Errorf("%s has %d series, want %d", family.GetName(), points, len(family.GetMetric()))
		}
	}
	r.Panicked("cache")
	stop()
	last := <-requests
	panics := func(of received) (sum float64) {
		for _, point := range of.metrics["pldns_panics_total"].GetSum().GetDataPoints() {
			sum += point.GetAsDouble()
		}
		return sum
	}
	if !last.metrics["pldns_panics_total"].GetSum().GetIsMonotonic() || panics(last) != panics(first)+1 {
		t.Errorf("%v panics at first, and %v at the end", panics(first), panics(last))
	}
}

// same holds the series of a metric against what a collector got, and gives how many it got.
func same(t *testing.T, family *dto.MetricFamily, got []*metricspb.NumberDataPoint, value func(*dto.Metric) float64) int {
	t.Helper()
	for i := range min(len(got), len(family.GetMetric())) {
		of := family.GetMetric()[i]
		labels := make(map[string]string)
		for _, a := range got[i].GetAttributes() {
			labels[a.GetKey()] = a.GetValue().GetStringValue()
		}
		for _, pair := range of.GetLabel() {
			if pair.GetValue() != labels[pair.GetName()] {
				t.Errorf("%s: label %s is %q, want %q", family.GetName(), pair.GetName(), labels[pair.GetName()], pair.GetValue())
			}
		}
		if got[i].GetAsDouble() != value(of) {
			t.Errorf("%s is %v, want %v", family.GetName(), got[i].GetAsDouble(), value(of))
		}
	}
	return len(got)
}

// What a collector does is told once, and counted: an error, and that it is over.
func TestExportFails(t *testing.T) {
	codes := make(chan int)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case code := <-codes:
			w.WriteHeader(code)
		case <-r.Context().Done():
		}
	}))
	defer collector.Close()
	var log strings.Builder
	r := metrics.New(metrics.Build{})
	stop := export(t, r, metrics.Collector{Endpoint: collector.URL, Every: time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, code := range []int{503, 401, 200, 200, 302} {
		codes <- code
	}
	codes <- 404 // the one before has been read
	took := stop()
	if got := count(t, r, "pldns_otlp_exports_total", "failed"); got < 3 {
		t.Errorf("%v failures are counted", got)
	}
	if got := count(t, r, "pldns_otlp_exports_total", "ok"); got != 2 {
		t.Errorf("%v successes are counted", got)
	}
	text := log.String()
	if strings.Count(text, "do not reach") != 2 || strings.Count(text, "reach the collector again") != 1 {
		t.Errorf("the log says %s", text)
	}
	if took > time.Minute {
		t.Errorf("the end took %s", took)
	}
}

// count is a counter, by the last of its labels.
func count(t *testing.T, r *metrics.Recorder, name, result string) (sum float64) {
	t.Helper()
	families, err := r.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, pair := range m.GetLabel() {
				if family.GetName() == name && pair.GetName() == "result" && pair.GetValue() == result {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

// silent takes requests and answers none.
type silent struct{ asked chan struct{} }

func (s silent) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked <- struct{}{}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// A collector that is silent holds nothing up: each request ends after ten seconds, and
// the program ends at once.
func TestExportToTheSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := metrics.New(metrics.Build{})
		to := silent{make(chan struct{})}
		exporter, err := r.Exporter(metrics.Collector{
			Endpoint: "http://collector.invalid", Client: &http.Client{Transport: to}, Every: time.Second, Resource: resource.Empty(),
			Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		began := time.Now()
		go func() { ended <- exporter.Run(ctx) }()
		for range 3 {
			<-to.asked
		}
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("the third request comes after %s", took)
		}
		before := time.Now()
		cancel()
		if err := <-ended; err != nil || time.Since(before) != 0 {
			t.Errorf("%v, and the end took %s", err, time.Since(before))
		}
	})
}
