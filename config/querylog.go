package config

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
)

// QueryLog says which queries are logged, and where.
type QueryLog struct {
	// Mode is "off", "errors" for what was refused or failed, "sampled" for one in so
	// many, or "all".
	Mode   string
	Sample int         // queries that one line stands for; set if the mode is "sampled"
	To     []LogTarget // at least one
	// Client is what is logged of a client: its "subnet", which is a /24, of IPv6 a
	// /56, its "address", or "none".
	Client string

	// Of those, what is logged are queries of these networks, from these clients, for
	// these names and with these outcomes; empty for any. A name is a part of a name, or
	// one with * for whatever stands there.
	Networks []string
	Clients  []netip.Prefix
	Names    []string
	Outcomes []string

	// MaxSize in octets and MaxAge say when a file is put aside, Keep how many such are
	// kept, and Compress whether they are compressed; zero for never.
	MaxSize  int64
	MaxAge   time.Duration
	Keep     int
	Compress bool

	Facility int    // of syslog (RFC 5424 section 6.2.1)
	CA       string // the file that Roots is from; empty for none
	// Roots sign the certificates of receivers of syslog over TLS; nil stands for those of
	// the system.
	Roots *x509.CertPool
}

// LogTarget is where the query log goes.
type LogTarget struct {
	// Kind is "stdout", "stderr", "file", "syslog" or "otlp".
	Kind string
	Path string // of a file
	// Network is "unixgram", "udp", "tcp" or "tls", and Address a path, or an address and
	// port: of a receiver of syslog. ServerName is the name in its certificate over TLS;
	// empty for its address.
	Network, Address, ServerName string
}

// Files are the files that are written to.
func (q QueryLog) Files() (files []string) {
	for _, to := range q.To {
		if to.Kind == "file" {
			files = append(files, to.Path)
		}
	}
	return files
}

// Equal tells whether two say the same.
func (q QueryLog) Equal(other QueryLog) bool {
	same := (q.Roots == nil) == (other.Roots == nil) && (q.Roots == nil || q.Roots.Equal(other.Roots))
	q.Roots, other.Roots = nil, nil
	return same && reflect.DeepEqual(q, other)
}

// outcomes are the words for what clients get.
func outcomes() []string {
	return []string{"answered", "nodata", "nxdomain", "refused", "servfail", "failed"}
}

// facilities are the facilities of syslog, by their numbers (RFC 5424 section 6.2.1).
func facilities() []string {
	return []string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit",
		"alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}
}

func (l *loader) queryLog(root table, files files) {
	t, _ := root.sub("query_log")
	t.only("mode", "sample", "to", "client", "networks", "clients", "names", "outcomes", "max_size", "max_age", "keep", "compress",
		"facility", "ca")
	q := &l.config.QueryLog
	q.Mode = t.choice("mode", "off", "errors", "sampled", "all")
	q.Client = t.choice("client", "subnet", "address", "none")
	sample := t.integer("sample", defaultLogSample, 1, maxSample)
	switch {
	case q.Mode == "sampled":
		q.Sample = sample
	case q.Mode != "off" && t.has("sample"):
		l.rep.add(t.place("sample"), faultf(`write mode = "sampled", or remove it`, "mode %q logs no sample", q.Mode))
	}
	l.logTargets(t, files)
	l.logFilter(t)
	l.logRotation(t)
	l.logSyslog(t, files)
}

// logTargets reads where the log goes: one place, or a list of them.
func (l *loader) logTargets(t table, files files) {
	q := &l.config.QueryLog
	entries := []entry{{defaultLogTo, t.place("to")}}
	if value, given := t.get("to"); given {
		if _, is := value.([]any); is {
			entries, _ = t.texts("to", "stdout")
		} else if text, is := t.text("to", defaultLogTo); is {
			entries[0].text = text
		}
		if len(entries) == 0 {
			l.rep.add(t.place("to"), faultf(`write "stdout", "stderr" or the path of a file`, "is empty"))
		}
	}
	q.To, _ = distinct(l.rep, entries, func(text string) (LogTarget, *fault) {
		to, f := parseLogTarget(text)
		if f == nil && to.Kind == "file" {
			to.Path = files.path(to.Path)
			f = l.logApart(to.Path, text)
		}
		if f == nil && to.Kind == "otlp" && l.config.OTLP == nil && !l.anywhere {
			f = faultf("add [otlp] with the endpoint of a collector", "%q goes to no collector", text)
		}
		return to, f
	})
}

// parseLogTarget reads one place that a log goes to. The path of a file is as it is
// written.
func parseLogTarget(text string) (LogTarget, *fault) {
	const remedy = `write "stdout", "stderr", "otlp", the path of a file, or a receiver of syslog such as "syslog+unix:///dev/log", ` +
		`"syslog+udp://10.0.0.9", "syslog+tcp://10.0.0.9:601" or "syslog+tls://10.0.0.9#logs.contoso.com"`
	switch text {
	case "":
		return LogTarget{}, faultf(`write "stdout", "stderr" or the path of a file`, "is empty")
	case "stdout", "stderr", "otlp":
		return LogTarget{Kind: text}, nil
	}
	scheme, rest, isURL := strings.Cut(text, "://")
	network, isSyslog := strings.CutPrefix(scheme, "syslog+")
	if !isURL || strings.ContainsAny(scheme, "/\\.") {
		return LogTarget{Kind: "file", Path: strings.Clone(text)}, nil
	}
	to := LogTarget{Kind: "syslog", Network: strings.Clone(network)}
	usual, known := map[string]uint16{"unix": 0, "udp": 514, "tcp": 601, "tls": 6514}[network]
	if !isSyslog || !known {
		return to, faultf(remedy, "%q is no place for a log", text)
	}
	if network == "unix" {
		to.Network, to.Address = "unixgram", strings.Clone(rest)
		if !strings.HasPrefix(rest, "/") || len(rest) > maxSocketPath {
			return to, faultf(`write "syslog+unix:///dev/log"`, "%q does not hold the whole path of a socket", text)
		}
		return to, nil
	}
	host, name, named := strings.Cut(rest, "#")
	if named && (network != "tls" || name == "" || hostFault(name, false) != "") {
		return to, faultf(`write the name in the receiver's certificate behind #, as in "syslog+tls://10.0.0.9#logs.contoso.com"`,
			"%q has a name that no certificate is for", text)
	}
	u, err := url.Parse(scheme + "://" + host)
	if err != nil || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return to, faultf(remedy, "%q is no place for a log", text)
	}
	socket, f := parseRemote("syslog+"+network, host, usual, "10.0.0.9")
	to.Address, to.ServerName = socket.String(), strings.Clone(name)
	if f != nil {
		f = faultf(`write the address of the receiver, as in "syslog+`+network+`://10.0.0.9"`, "%s", f.text)
	}
	return to, f
}

// logApart refuses a file that the configuration is read from: it would grow with
// every query.
func (l *loader) logApart(path, text string) *fault {
	read := append(l.config.TLS.Files(), l.main, l.config.Listen.AdminTokenFile)
	if slices.Contains(append(read, l.config.OTLP.Files()...), path) {
		return faultf("name a file of its own", "%q belongs to the configuration", text)
	}
	return nil
}

// logFilter reads which queries are logged. The networks are looked for when all are known.
func (l *loader) logFilter(t table) {
	q := &l.config.QueryLog
	l.loggedNetworks, _ = t.texts("networks", "hub")
	q.Clients = l.prefixes(t, "clients", "10.0.0.0/16", nil)
	names, _ := t.texts("names", "*.database.windows.net")
	q.Names, _ = distinct(l.rep, names, func(text string) (name string, f *fault) {
		name = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(text), "."))
		switch {
		case name == "" || strings.ContainsAny(name, " \t"):
			f = faultf(`write a part of a name, or one with * such as "*.database.windows.net"`, "%q is in no name", text)
		case strings.Count(name, "*") > maxLogStars:
			f = faultf(fmt.Sprintf("write at most %d", maxLogStars), "%q has too many stars", text)
		}
		return name, f
	})
	if entries, ok := t.texts("outcomes", "nxdomain"); ok {
		q.Outcomes = t.words("outcomes", entries, outcomes()...)
	}
}

// finishQueryLog finds the networks whose queries are logged, once all are known.
func (l *loader) finishQueryLog() {
	l.config.QueryLog.Networks = l.definedNetworks(l.loggedNetworks)
}

// logRotation reads when a file is put aside.
func (l *loader) logRotation(t table) {
	q := &l.config.QueryLog
	q.MaxSize = t.size("max_size", 0, minBytes, maxBytes)
	q.MaxAge = t.duration("max_age", 0, minLogAge, maxLogAge)
	keep, compress := t.integer("keep", defaultLogKeep, 1, maxLogKeep), t.boolean("compress", true)
	if q.MaxSize > 0 || q.MaxAge > 0 {
		q.Keep, q.Compress = keep, compress
		if len(q.Files()) == 0 {
			key := "max_size"
			if q.MaxSize == 0 {
				key = "max_age"
			}
			l.rep.add(t.place(key), faultf(`write the path of a file at "to", or remove it`,
				"the log goes to no file that could be put aside"))
		}
		return
	}
	for _, key := range []string{"keep", "compress"} {
		if t.has(key) {
			l.rep.add(t.place(key), faultf(`add max_size = "100MiB" or max_age = "24h", or remove it`, "no file is put aside"))
		}
	}
}

// logSyslog reads what is known of receivers of syslog.
func (l *loader) logSyslog(t table, files files) {
	q := &l.config.QueryLog
	q.Facility = slices.Index(facilities(), defaultFacility)
	var any, secure bool
	for _, to := range q.To {
		any, secure = any || to.Kind == "syslog", secure || to.Network == "tls"
	}
	if word, given := t.text("facility", defaultFacility); given {
		switch q.Facility = slices.Index(facilities(), word); {
		case q.Facility < 0:
			l.rep.add(t.place("facility"), unknownWord(word, facilities()))
		case !any:
			l.rep.add(t.place("facility"), faultf(`write a receiver of syslog at "to", or remove it`, "nothing goes to syslog"))
		}
	}
	if t.has("ca") && !secure {
		l.rep.add(t.place("ca"), faultf(`write a receiver with syslog+tls:// at "to", or remove it`, "nothing goes to syslog over TLS"))
		return
	}
	q.Roots = l.authorities(t, "ca", "syslog-ca.pem", "the certificate of the receiver", &q.CA, files, x509.NewCertPool)
}
