package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// QueryLog says which queries are logged, and where.
type QueryLog struct {
	// Mode is "off", "errors" for what was refused or failed, "sampled" for one in so
	// many, or "all".
	Mode   string
	Sample int    // queries that one line stands for; set if the mode is "sampled"
	To     string // "stdout", "stderr", or the path of a file
	// Client is what is logged of a client: its "subnet", which is a /24, of IPv6 a
	// /56, its "address", or "none".
	Client string
}

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
	q.Mode = t.choice("mode", "off", "errors", "sampled", "all")
	q.Client = t.choice("client", "subnet", "address", "none")
	sample := t.integer("sample", defaultLogSample, 1, maxSample)
	switch {
	case q.Mode == "sampled":
		q.Sample = sample
	case q.Mode != "off" && t.has("sample"):
		l.rep.add(t.place("sample"), faultf(`write mode = "sampled", or remove it`, "mode %q logs no sample", q.Mode))
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
	d.Identity = l.identity(t)
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
			return "", "", faultf("move the socket", "the path in %q has %d characters, more than the %d of a socket", text, len(path),
				maxSocketPath)
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
func (t table) choice(key string, words ...string) string {
	word, given := t.text(key, words[0])
	if !given {
		return words[0]
	}
	if slices.Contains(words, word) {
		return word
	}
	remedy := "write one of: " + strings.Join(words, ", ")
	if meant := nearest(word, words); meant != "" {
		remedy = "write \"" + meant + "\""
	}
	t.rep.add(t.place(key), faultf(remedy, "%q is not known here", word))
	return words[0]
}
