package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// QueryLog says which queries are logged, and where. The zero value logs none.
type QueryLog struct {
	Mode   LogMode
	Sample int    // queries that one line stands for; set if the mode is LogSampled
	To     string // "stdout", "stderr", or the path of a file
	Client LogClient
}

// LogMode says which queries are logged.
type LogMode uint8

// The modes of a query log.
const (
	LogOff     LogMode = iota
	LogErrors          // what was refused or failed
	LogSampled         // one in so many
	LogAll
)

// logModes are the words for the modes, in their order.
func logModes() []string { return []string{"off", "errors", "sampled", "all"} }

// LogClient says how much of the address of a client is logged.
type LogClient uint8

// What is logged of a client.
const (
	LogSubnet  LogClient = iota // its /24, of IPv6 its /56
	LogAddress                  // all of its address
	LogNobody                   // nothing
)

// logClients are the words for them, in their order.
func logClients() []string { return []string{"subnet", "address", "none"} }

// Dnstap says where queries and replies are sent as dnstap. The zero value sends
// none.
type Dnstap struct {
	Network  string // "unix" or "tcp"; empty for nowhere
	Address  string // a path, or an address and port
	Sample   int    // queries that one that is sent stands for
	Identity string // who sends; empty stands for the name of the host
}

// signals reads who is told of single queries.
func (l *loader) signals(root table, files files) {
	l.queryLog(root, files)
	l.dnstap(root)
}

func (l *loader) queryLog(root table, files files) {
	t, _ := root.sub("query_log")
	t.only("mode", "sample", "to", "client")
	q := &l.config.QueryLog
	q.Mode = LogMode(t.choice("mode", logModes()))
	q.Client = LogClient(t.choice("client", logClients()))
	sample := t.integer("sample", defaultLogSample, 1, maxSample)
	switch {
	case q.Mode == LogSampled:
		q.Sample = sample
	case q.Mode != LogOff && t.has("sample"):
		l.rep.add(t.place("sample"), faultf(`write mode = "sampled", or remove it`, "mode %q logs no sample", logModes()[q.Mode]))
	}
	q.To = defaultLogTo
	to, given := t.text("to", defaultLogTo)
	switch {
	case !given:
	case to == "":
		l.rep.add(t.place("to"), faultf(`write "stdout", "stderr" or the path of a file`, "is empty"))
	case to == "stdout" || to == "stderr":
		q.To = to
	default:
		q.To = files.path(to)
		l.logApart(t, to)
	}
}

// logApart refuses a file that the configuration is read from: it would grow with
// every query.
func (l *loader) logApart(t table, to string) {
	read := append(l.config.TLS.Files(), l.main, l.config.Listen.AdminTokenFile)
	if slices.Contains(read, l.config.QueryLog.To) {
		l.rep.add(t.place("to"), faultf("name a file of its own", "%q belongs to the configuration", to))
	}
}

func (l *loader) dnstap(root table) {
	t, given := root.sub("dnstap")
	if !given {
		return
	}
	t.only("to", "sample", "identity")
	d := &l.config.Dnstap
	d.Sample = t.integer("sample", 1, 1, maxSample)
	d.Identity, _ = t.text("identity", "hub-1")
	if len(d.Identity) > maxIdentity {
		l.rep.add(t.place("identity"), faultf("write a shorter one", "has %d characters, more than %d", len(d.Identity), maxIdentity))
	}
	to, is := t.text("to", "unix:///run/dnstap.sock")
	switch {
	case !t.has("to"):
		l.rep.add(t.here(), faultf(`add to = "unix:///run/dnstap.sock"`, "has no receiver"))
	case is:
		var f *fault
		if d.Network, d.Address, f = parseReceiver(to); f != nil {
			l.rep.add(t.place("to"), f)
		}
	}
}

// parseReceiver reads where a receiver of dnstap listens.
func parseReceiver(text string) (network, address string, f *fault) {
	const remedy = `write the path of a socket, such as "unix:///run/dnstap.sock", or an address, such as "tcp://10.0.0.9:6000"`
	if path, is := strings.CutPrefix(text, "unix://"); is {
		switch {
		case !strings.HasPrefix(path, "/"):
			return "", "", faultf(remedy, "%q does not hold the whole path of a socket", text)
		case len(path) > maxSocketPath:
			return "", "", faultf("move the socket", "the path in %q has %d characters, more than the %d of a socket", text, len(path), maxSocketPath)
		}
		return "unix", path, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "tcp" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		return "", "", faultf(remedy, "%q is no receiver", text)
	}
	socket, err := netip.ParseAddrPort(u.Host)
	if err != nil || socket.Port() == 0 || socket.Addr().IsUnspecified() {
		return "", "", faultf(remedy, "%q is no address with a port", u.Host)
	}
	return "tcp", socket.String(), nil
}

// choice gives the place of the word at a key among those that it may be, the
// first if it is not given.
func (t table) choice(key string, words []string) int {
	word, given := t.text(key, words[0])
	if !given {
		return 0
	}
	if i := slices.Index(words, word); i >= 0 {
		return i
	}
	remedy := "write one of: " + strings.Join(words, ", ")
	if meant := nearest(word, words); meant != "" {
		remedy = "write \"" + meant + "\""
	}
	t.rep.add(t.place(key), faultf(remedy, "%q is not known here", word))
	return 0
}
