package daemon

import (
	"context"
	"crypto/tls"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"

	"pldns/config"
	"pldns/resolver/metrics"
)

// exporter is what sends metrics to a collector, and what it was made of.
type exporter struct {
	*metrics.Exporter
	settings *config.OTLP
}

// newExporter makes what a configuration asks for, or takes over the one before; nil
// where metrics are sent nowhere.
func (s *Server) newExporter(settings *config.OTLP, before *exporter) (*exporter, error) {
	switch {
	case settings == nil || !settings.Metrics:
		return nil, nil
	case before != nil && before.settings.Equal(settings):
		return before, nil
	}
	made, err := s.recorder.Exporter(metrics.Collector{
		Endpoint: settings.Endpoint, Headers: settings.Headers, Client: collectorClient(settings), Every: settings.Every,
		Resource: resourceOf(), Log: s.log,
	})
	if err != nil {
		return nil, err
	}
	return &exporter{made, settings}, nil
}

// collectorClient asks a collector. Whoever uses it bounds how long that takes.
func collectorClient(settings *config.OTLP) *http.Client {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: settings.Roots},
	}
	// Nothing that goes there, such as a token, is for anybody else.
	elsewhere := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: transport, CheckRedirect: elsewhere}
}

// resourceOf is who sends telemetry, by OpenTelemetry's own words for it. What is in
// OTEL_RESOURCE_ATTRIBUTES comes on top.
func resourceOf() *resource.Resource {
	host := hostName()
	own := resource.NewSchemaless(
		attribute.String("service.name", "pldns"), attribute.String("service.version", Build().Version),
		attribute.String("service.instance.id", host), attribute.String("host.name", host))
	said, err := resource.New(context.Background(), resource.WithFromEnv())
	if err != nil {
		return own
	}
	merged, err := resource.Merge(own, said)
	if err != nil {
		return own
	}
	return merged
}
