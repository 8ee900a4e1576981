package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// What an upstream says in an extended error may be anybody's text: nowhere does it
// come out as an escape of the terminal, a line of its own, or in another direction.
func TestTextsOfUpstreamsAreSafeToShow(t *testing.T) {
	const hostile = "\x1b]0;pwned\a\x1b[31m\r\nanswer NOERROR \u202e\x9b31m"
	upstream := azureDNS(t)
	upstream.On("hostile.contoso.com", func(a *resolvertest.Asked) {
		reply := a.Reply()
		reply.Answer, reply.Ns, reply.Rcode = nil, nil, dns.RcodeServerFailure
		if opt := reply.IsEdns0(); opt != nil {
			opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeNetworkError, ExtraText: hostile})
		}
		a.Send(reply)
	})
	toml := regions(upstreamTable(upstream.Addr))
	r := start(t, toml)
	shown := map[string]string{}
	reply := r.ask("udp", europe, "hostile.contoso.com", dns.TypeA)
	if opt := reply.IsEdns0(); opt != nil {
		for _, option := range opt.Option {
			if ede, is := option.(*dns.EDNS0_EDE); is {
				shown["to the client"] += ede.ExtraText
			}
		}
	}
	for name, way := range map[string][]string{"by the server": {"--server", r.admin}, "from the file": {"-c", writeConfig(t, toml)}} {
		for _, form := range []string{"", "--json"} {
			var stdout, stderr bytes.Buffer
			args := append([]string{"explain", "hostile.contoso.com", "--client", europe}, way...)
			if form != "" {
				args = append(args, form)
			}
			run(t.Context(), args, &stdout, &stderr)
			shown["explained "+name+" "+form] = strings.ReplaceAll(stdout.String()+stderr.String(), "\n", "")
		}
	}
	for where, text := range shown {
		if !strings.Contains(text, "pwned") {
			t.Errorf("%s: the text is not shown: %q", where, text)
		}
		if i := strings.IndexFunc(text, func(c rune) bool { return !unicode.IsPrint(c) && c != '\t' }); i >= 0 {
			t.Errorf("%s: not safe from %q", where, text[i:min(i+40, len(text))])
		}
		if strings.Contains(text, hostile) {
			t.Errorf("%s: the text as it came", where)
		}
	}
	if len(shown) != 5 {
		t.Errorf("shown in %d ways", len(shown))
	}
}
