package querylog

import (
	"context"
	"time"

	"github.com/miekg/dns"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdk "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
)

// OTLP is where lines go as log records of OpenTelemetry.
type OTLP struct {
	// Exporter sends records, without trying again by itself; a Log shuts it down.
	Exporter sdk.Exporter
	// Resource says who sends.
	Resource *resource.Resource
	// Exported is told what came of each request; nil is nobody.
	Exported func(error)
}

const (
	// otlpBatch is how many records go with one request at most.
	otlpBatch = 512
	// otlpPatience is how long a collector may take for a request.
	otlpPatience = 10 * time.Second
)

// records is a sink that sends log records. Those that the collector does not take stay
// until it does.
type records struct {
	to       OTLP
	trouble  func(error) // told why the collector takes nothing
	ctx      context.Context
	stop     context.CancelFunc
	provider *sdk.LoggerProvider
	logger   log.Logger
	waiting  []sdk.Record
	pause    time.Duration
}

func newRecords(to OTLP, trouble func(error)) *records {
	r := &records{to: to, trouble: trouble, pause: restFirst}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.provider = sdk.NewLoggerProvider(sdk.WithResource(to.Resource), sdk.WithProcessor(collecting{r}))
	r.logger = r.provider.Logger("pldns/querylog")
	return r
}

// collecting is the processor of the logger: it only puts records together, so that what
// waits and what is lost is counted where all lines are.
type collecting struct{ *records }

// OnEmit implements [sdk.Processor].
func (c collecting) OnEmit(_ context.Context, record *sdk.Record) error {
	c.waiting = append(c.waiting, record.Clone())
	return nil
}

// Enabled implements [sdk.Processor].
func (collecting) Enabled(context.Context, sdk.EnabledParameters) bool { return true }

// Shutdown implements [sdk.Processor].
func (collecting) Shutdown(context.Context) error { return nil }

// ForceFlush implements [sdk.Processor].
func (collecting) ForceFlush(context.Context) error { return nil }

// Add implements [sink]. The attributes are called like the keys of a line, below "dns.",
// "client." and the like where there is a word of the semantic conventions for them.
func (r *records) Add(l *line) (full bool) {
	record := log.Record{}
	record.SetTimestamp(l.at)
	record.SetObservedTimestamp(l.at)
	record.SetEventName("dns.query")
	record.SetSeverity(log.SeverityInfo)
	if l.RcodeNum != dns.RcodeSuccess && l.RcodeNum != dns.RcodeNameError {
		record.SetSeverity(log.SeverityWarn)
	}
	record.SetBody(attribute.StringValue(l.Name + " " + l.Type + " " + l.Rcode))
	record.AddAttributes(l.attributes()...)
	r.logger.Emit(r.ctx, record)
	return len(r.waiting) >= otlpBatch
}

// attributes are what a line says.
func (l *line) attributes() []attribute.KeyValue {
	all := []attribute.KeyValue{
		attribute.String("network", l.Network), attribute.String("transport", l.Transport), attribute.String("dns.response_code", l.Rcode),
		attribute.String("source", l.Source), attribute.Float64("duration_ms", l.Duration),
	}
	text := func(key, value string) {
		if value != "" {
			all = append(all, attribute.String(key, value))
		}
	}
	text("dns.question.name", l.Name)
	text("dns.question.type", l.Type)
	text("dns.question.class", l.Class)
	text("client.address", l.Client)
	text("client.name", l.ClientName)
	text("listener", l.Listener)
	text("server_name", l.ServerName)
	text("path", l.Path)
	text("rule", l.Rule)
	text("policy", l.Policy)
	text("policy_entry", l.PolicyEntry)
	text("policy_action", l.PolicyAction)
	text("upstream", l.Upstream)
	text("server", l.Server)
	text("refusal", l.Refusal)
	text("release", l.Release)
	if l.Port != 0 {
		all = append(all, attribute.Int("client.port", int(l.Port)))
	}
	if l.LinkID != nil {
		all = append(all, attribute.Int64("link_id", int64(*l.LinkID)))
	}
	if l.Omitted > 0 {
		all = append(all, attribute.Int64("omitted", l.Omitted))
	}
	if len(l.Addresses) > 0 {
		addresses := make([]string, 0, len(l.Addresses))
		for _, addr := range l.Addresses {
			addresses = append(addresses, addr.String())
		}
		all = append(all, attribute.StringSlice("dns.answers", addresses))
	}
	if len(l.EDE) > 0 {
		codes, texts := make([]int, 0, len(l.EDE)), make([]string, 0, len(l.EDE))
		for _, err := range l.EDE {
			codes, texts = append(codes, int(err.Code)), append(texts, err.Text)
		}
		all = append(all, attribute.IntSlice("ede.code", codes), attribute.StringSlice("ede.text", texts))
	}
	return all
}

// Flush implements [sink].
func (r *records) Flush() (written int, err error) {
	defer r.Reset()
	for {
		ctx, cancel := context.WithTimeout(r.ctx, otlpPatience)
		err := r.to.Exporter.Export(ctx, r.waiting)
		cancel()
		if r.to.Exported != nil {
			r.to.Exported(err)
		}
		if err == nil {
			r.pause = restFirst
			return len(r.waiting), nil
		}
		r.trouble(err)
		if !rest(r.ctx, &r.pause) {
			return 0, err
		}
	}
}

// Reset implements [sink].
func (r *records) Reset() {
	clear(r.waiting)
	r.waiting = r.waiting[:0]
}

// Stale implements [sink].
func (*records) Stale() {}

// Close implements [sink].
func (r *records) Close() error {
	r.stop()
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	return r.to.Exporter.Shutdown(ctx)
}
