package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// Collector is what takes metrics by OTLP over HTTP.
type Collector struct {
	Endpoint string            // its URL; /v1/metrics follows
	Headers  map[string]string // go with each request
	Client   *http.Client      // asks it
	Every    time.Duration     // from one time that metrics are sent to the next
	Resource *resource.Resource
	Log      *slog.Logger
}

const (
	// exportTimeout is how long a collector may take, and lastTimeout how long it may at
	// the end of the program.
	exportTimeout = 10 * time.Second
	lastTimeout   = 500 * time.Millisecond
)

// Exporter sends all metrics to a collector, now and then. It reads what Prometheus would
// read, so there is one set of metrics. Nobody waits for it: a collector that is slow or
// away costs it alone.
type Exporter struct {
	recorder  *Recorder
	from      metric.Producer
	to        *otlpmetrichttp.Exporter
	collector Collector
	failing   bool // the last request came to nothing, and the log says so
}

// Exporter makes what sends the metrics to a collector. The error says what is wrong with
// its address.
func (r *Recorder) Exporter(to Collector) (*Exporter, error) {
	client, err := otlpmetrichttp.New(context.Background(), otlpmetrichttp.WithEndpointURL(to.Endpoint+"/v1/metrics"),
		otlpmetrichttp.WithHeaders(to.Headers), otlpmetrichttp.WithHTTPClient(to.Client),
		otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{})) // the next time is soon enough
	if err != nil {
		return nil, fmt.Errorf("otlp.endpoint: %w", err)
	}
	return &Exporter{recorder: r, from: bridge.NewMetricProducer(bridge.WithGatherer(r.registry)), to: client, collector: to}, nil
}

// Run sends metrics until ctx ends, and then once more where the collector has not been
// failing, which takes half a second at most. The error is always nil.
func (e *Exporter) Run(ctx context.Context) error {
	defer e.collector.Client.CloseIdleConnections()
	ticker := time.NewTicker(e.collector.Every)
	defer ticker.Stop()
	for {
		e.export(ctx, exportTimeout)
		select {
		case <-ctx.Done():
			if !e.failing {
				e.export(context.WithoutCancel(ctx), lastTimeout)
			}
			return nil
		case <-ticker.C:
		}
	}
}

// export sends the metrics as they are now.
func (e *Exporter) export(ctx context.Context, patience time.Duration) {
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	scopes, err := e.from.Produce(within)
	if err == nil {
		err = e.to.Export(within, &metricdata.ResourceMetrics{Resource: e.collector.Resource, ScopeMetrics: scopes})
	}
	if err != nil && ctx.Err() != nil {
		return // the end of the program is no failure of the collector
	}
	e.recorder.Exported("metrics", err)
	switch {
	case err != nil && !e.failing:
		e.collector.Log.Warn("metrics do not reach the collector", "endpoint", e.collector.Endpoint, "error", err)
	case err == nil && e.failing:
		e.collector.Log.Info("metrics reach the collector again", "endpoint", e.collector.Endpoint)
	}
	e.failing = err != nil
}
