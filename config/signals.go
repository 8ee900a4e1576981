package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Dnstap says where queries and replies are sent as dnstap. The zero value sends
// none.
type Dnstap struct {
	Network  string // "unix" or "tcp"; empty for nowhere
	Address  string // a path, or an address and port
	Sample   int    // queries that one that is sent stands for
	Identity string // who sends; empty stands for the name of the host
	// Clients says that what clients ask and are told is sent, and Upstreams that what
	// upstreams are asked and say is.
	Clients, Upstreams bool
}

// signals reads who is told of single queries.
func (l *loader) signals(root table, files files) {
	l.queryLog(root, files)
	l.dnstap(root)
}

func (l *loader) dnstap(root table) {
	t, given := root.sub("dnstap")
	if !given {
		return
	}
	t.only("to", "sample", "identity", "messages")
	d := &l.config.Dnstap
	d.Sample = t.integer("sample", 1, 1, maxSample)
	d.Identity = l.identity(t)
	d.Clients = true
	if entries, ok := t.texts("messages", "client"); ok {
		words := t.words("messages", entries, "client", "forwarder")
		d.Clients, d.Upstreams = slices.Contains(words, "client"), slices.Contains(words, "forwarder")
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
	t.rep.add(t.place(key), unknownWord(word, words))
	return words[0]
}

// unknownWord refuses a word that is none of those that it may be.
func unknownWord(word string, words []string) *fault {
	remedy := "write one of: " + strings.Join(words, ", ")
	if meant := nearest(word, words); meant != "" {
		remedy = "write \"" + meant + "\""
	}
	return faultf(remedy, "%q is not known here", word)
}

// words gives the entries at a key, which may be some of the words, at least one.
func (t table) words(key string, entries []entry, words ...string) (given []string) {
	if len(entries) == 0 {
		t.rep.add(t.place(key), faultf("write some of: "+strings.Join(words, ", ")+"; or remove it", "is empty"))
	}
	given, _ = distinct(t.rep, entries, func(word string) (_ string, f *fault) {
		if !slices.Contains(words, word) {
			f = unknownWord(word, words)
		}
		return word, f
	})
	return given
}
