package daemon

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"

	"pldns/config"
	"pldns/resolver/admin"
	"pldns/resolver/listen"
	"pldns/resolver/observe"
	"pldns/resolver/observe/querylog"
)

// queryLog is the query log, one for each place that it goes to, and what it was made of.
type queryLog struct {
	logs      []*querylog.Log
	settings  config.QueryLog
	collector *config.OTLP // nil where it goes to none
}

// madeOf tells whether a configuration asks for this very log.
func (q *queryLog) madeOf(c *config.Config) bool {
	return q != nil && q.settings.Equal(c.QueryLog) && q.collector.Equal(collectorOf(c))
}

// collectorOf is where the query log goes over OTLP; nil for nowhere.
func collectorOf(c *config.Config) *config.OTLP {
	for _, to := range c.QueryLog.To {
		if to.Kind == "otlp" {
			return c.OTLP
		}
	}
	return nil
}

// newQueryLog makes the query log that a configuration asks for. Places far away are
// connected to when it runs. The error is that of a file, and then nothing is left open.
func (s *Server) newQueryLog(c *config.Config) (*queryLog, error) {
	made := &queryLog{settings: c.QueryLog, collector: collectorOf(c)}
	for _, to := range c.QueryLog.To {
		settings, err := s.logTo(c, to)
		if err == nil {
			var log *querylog.Log
			if log, err = querylog.New(settings); err == nil {
				made.logs = append(made.logs, log)
				continue
			}
		}
		for _, log := range made.logs {
			log.Abandon()
		}
		return nil, fmt.Errorf("query_log.to: %w", err)
	}
	return made, nil
}

// logTo is what the log is made of that goes to one place.
func (s *Server) logTo(c *config.Config, to config.LogTarget) (l querylog.Config, err error) {
	q := c.QueryLog
	l = querylog.Config{
		Mode: map[string]querylog.Mode{"errors": querylog.Errors, "sampled": querylog.Sampled, "all": querylog.All}[q.Mode],
		Clients: map[string]querylog.Clients{"subnet": querylog.Subnet, "address": querylog.Address,
			"none": querylog.Nobody}[q.Client],
		Sample: uint32(q.Sample), Filter: logFilter(q), Called: s.called, Observer: s.recorder, Log: s.log,
	}
	switch to.Kind {
	case "stdout":
		l.Writer = os.Stdout
	case "stderr":
		l.Writer = os.Stderr
	case "syslog":
		l.Syslog = syslogTo(q, to)
	case "otlp":
		l.OTLP, err = s.recordsTo(collectorOf(c))
	default:
		l.File = to.Path
		l.Rotation = querylog.Rotation{Size: q.MaxSize, Age: q.MaxAge, Keep: q.Keep, Compress: q.Compress}
	}
	return l, err
}

// logFilter says which queries are logged; nil where all are.
func logFilter(q config.QueryLog) querylog.Filter {
	if len(q.Networks)+len(q.Clients)+len(q.Names)+len(q.Outcomes) == 0 {
		return nil
	}
	filter := &observe.Filter{Networks: q.Networks, Clients: q.Clients}
	for _, name := range q.Names {
		filter.Names = append(filter.Names, observe.NewPattern(name))
	}
	for _, word := range q.Outcomes {
		filter.Outcomes = append(filter.Outcomes, observe.Outcome(word))
	}
	return filter
}

// syslogTo is a receiver of syslog.
func syslogTo(q config.QueryLog, to config.LogTarget) *querylog.Syslog {
	receiver := &querylog.Syslog{Network: to.Network, Address: to.Address, Facility: q.Facility, Host: hostName()}
	if to.Network == "tls" {
		receiver.Network, receiver.TLS = "tcp", &tls.Config{RootCAs: q.Roots, ServerName: to.ServerName}
		if to.ServerName == "" {
			receiver.TLS.ServerName, _, _ = net.SplitHostPort(to.Address)
		}
	}
	return receiver
}

// recordsTo is a collector that takes log records. The log tries again by itself.
func (s *Server) recordsTo(collector *config.OTLP) (*querylog.OTLP, error) {
	exporter, err := otlploghttp.New(context.Background(), otlploghttp.WithEndpointURL(collector.Endpoint+"/v1/logs"),
		otlploghttp.WithHeaders(collector.Headers), otlploghttp.WithHTTPClient(collectorClient(collector)),
		otlploghttp.WithRetry(otlploghttp.RetryConfig{}), otlploghttp.WithCompression(otlploghttp.GzipCompression))
	if err != nil {
		return nil, err
	}
	return &querylog.OTLP{Exporter: exporter, Resource: resourceOf(), Exported: func(err error) { s.recorder.Exported("logs", err) }}, nil
}

func (q *queryLog) runners() (all []runner) {
	for _, log := range q.logs {
		all = append(all, log)
	}
	return all
}

func (q *queryLog) taps() (all []listen.Tap) {
	for _, log := range q.logs {
		all = append(all, log)
	}
	return all
}

// reopen makes it look for its files anew.
func (q *queryLog) reopen() {
	for _, log := range q.logs {
		log.Reopen()
	}
}

// losses are the places that lost lines of late.
func (q *queryLog) losses() (all []admin.LogLoss) {
	if q == nil {
		return nil
	}
	for _, log := range q.logs {
		if to, lines, since := log.Loss(); lines > 0 {
			all = append(all, admin.LogLoss{To: to, Lines: lines, Since: since})
		}
	}
	return all
}
