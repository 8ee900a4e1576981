package config

import (
	"crypto/x509"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// OTLP is the collector that telemetry is sent to: the table [otlp].
type OTLP struct {
	Endpoint string // a URL without a slash at its end, below which /v1/metrics and the like are
	// Headers go with each request, by name. The token is among them.
	Headers   map[string]string
	TokenFile string // the file that the token is from; empty for none
	CA        string // the file that Roots is from; empty for none
	// Roots sign the certificate of the collector; nil stands for those of the system.
	Roots   *x509.CertPool
	Metrics bool          // whether metrics are sent there
	Every   time.Duration // from one time that metrics are sent to the next
}

// Files are the files that were read.
func (o *OTLP) Files() []string {
	if o == nil {
		return nil
	}
	return slices.DeleteFunc([]string{o.TokenFile, o.CA}, func(file string) bool { return file == "" })
}

// Equal tells whether two say the same.
func (o *OTLP) Equal(other *OTLP) bool {
	if o == nil || other == nil {
		return o == other
	}
	a, b := *o, *other
	same := maps.Equal(a.Headers, b.Headers) && (a.Roots == nil) == (b.Roots == nil) && (a.Roots == nil || a.Roots.Equal(b.Roots))
	return same && a.Endpoint == b.Endpoint && a.TokenFile == b.TokenFile && a.CA == b.CA && a.Metrics == b.Metrics && a.Every == b.Every
}

const (
	exampleCollector = "https://collector.contoso.com:4318"
	defaultOTLPEvery = 30 * time.Second
	minOTLPEvery     = time.Second
	maxOTLPEvery     = time.Hour
	portOTLPgRPC     = "4317"
)

// fieldName is the name of an HTTP header (RFC 9110 section 5.1).
var fieldName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// otlp reads the table of the collector.
func (l *loader) otlp(root table, files files) {
	t, given := root.sub("otlp")
	if !given {
		return
	}
	t.only("endpoint", "token_file", "headers", "ca", "metrics", "every")
	o := &OTLP{Headers: make(map[string]string), Metrics: t.boolean("metrics", true)}
	l.config.OTLP = o
	o.Every = t.duration("every", defaultOTLPEvery, minOTLPEvery, maxOTLPEvery)
	o.Endpoint = l.collector(t)
	l.otlpHeaders(t, o)
	if data, ok := l.pem(t, "token_file", "otlp.token", &o.TokenFile, files); ok {
		token := strings.TrimSpace(string(data))
		if f := headerFault(token); f != nil || token == "" {
			l.rep.add(t.place("token_file"), faultf("write the token into it, in one line", "%q holds no token", o.TokenFile))
		}
		o.Headers["Authorization"] = "Bearer " + token
	}
	o.Roots = l.authorities(t, "ca", "collector-ca.pem", "the certificate of the collector", &o.CA, files, x509.NewCertPool)
	if u, err := url.Parse(o.Endpoint); err == nil && u.Scheme == "http" && len(o.Headers) > 0 && !onThisMachine(u.Hostname()) {
		l.rep.warn(t.place("endpoint"), faultf("write https://", "whoever is on the way to %s reads the headers", u.Host))
	}
}

// collector reads where the collector is.
func (l *loader) collector(t table) string {
	text, given := t.text("endpoint", exampleCollector)
	if !given {
		if !t.has("endpoint") {
			l.rep.add(t.here(), faultf(fmt.Sprintf("add endpoint = %q", exampleCollector), "has no endpoint"))
		}
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" ||
		u.Fragment != "" {
		remedy := fmt.Sprintf("write the URL of a collector, such as %q", exampleCollector)
		l.rep.add(t.place("endpoint"), faultf(remedy, "%q is no URL", text))
		return ""
	}
	text = strings.TrimRight(text, "/")
	for _, signal := range []string{"/v1/metrics", "/v1/logs"} {
		if base, is := strings.CutSuffix(text, signal); is {
			remedy := fmt.Sprintf("write %q: the path of each kind follows", base)
			l.rep.add(t.place("endpoint"), faultf(remedy, "%q is the path of one kind", text))
			return ""
		}
	}
	if u.Port() == portOTLPgRPC {
		l.rep.warn(t.place("endpoint"), faultf("write the port for HTTP, which is mostly 4318",
			"port %s of collectors is mostly for gRPC", u.Port()))
	}
	return text
}

// otlpHeaders reads what else goes with each request.
func (l *loader) otlpHeaders(t table, o *OTLP) {
	headers, _ := t.sub("headers")
	for _, name := range headers.keys() {
		value, is := headers.text(name, "a value")
		switch f := headerFault(value); {
		case !is:
		case !fieldName.MatchString(name):
			l.rep.add(headers.place(name), faultf(`write a name such as "X-Scope-OrgID"`, "is no name of a header"))
		case strings.EqualFold(name, "Authorization") && t.has("token_file"):
			l.rep.add(headers.place(name), &fault{"token_file is this header, too", "remove one of the two"})
		case f != nil:
			l.rep.add(headers.place(name), f)
		default:
			o.Headers[name] = value
		}
	}
}

// headerFault refuses what no header may hold.
func headerFault(value string) *fault {
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r >= 0x7f }) {
		return faultf("write visible characters of ASCII", "has a character that no header may have")
	}
	return nil
}
