package vpn

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

const pushReply = "PUSH: Received control message: 'PUSH_REPLY"

func isOpenVPNLog(text string) bool {
	return strings.Contains(text, pushReply) || numbered.MatchString(text) ||
		strings.Contains(text, "Initialization Sequence Completed") || strings.Contains(text, "library versions: OpenSSL")
}

// device is a line in which OpenVPN 2 says which interface it made: on Linux, with the
// driver in the kernel, on Windows and on macOS.
var device = regexp.MustCompile(`TUN/TAP device (\S+) opened|net_iface_new: add (\S+) type|device \[([^\]]+)\] opened|` +
	`Opened utun device (\S+)`)

// numbered is an option as OpenVPN 3, which is in OpenVPN Connect, lists what was
// pushed: "0 [route] [10.0.0.0] [255.255.0.0]".
var numbered = regexp.MustCompile(`(?m)^\d+ ((?:\[[^\]\n]*\] ?)+)\s*$`)

// stamp is the time before a line of OpenVPN 2, in the form of 2.5 and later and in
// that before it.
var stamp = regexp.MustCompile(`^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}) `)

// readOpenVPNLog reads the last session: what was pushed, and the interface.
func readOpenVPNLog(text string) []Profile {
	var last *Profile
	more := false // the server said that further options follow
	made, listing := "", false
	begin := func() { last = &Profile{Client: OpenVPN, Assigned: true} }
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		option := numbered.FindStringSubmatch(line)
		if option != nil {
			if !listing {
				begin()
			}
			listing = true
			last.option(strings.FieldsFunc(option[1], func(r rune) bool { return r == '[' || r == ']' || r == ' ' }))
			continue
		}
		listing = false
		if _, rest, found := strings.Cut(line, pushReply); found {
			if !more {
				begin()
			}
			if when := stamp.FindStringSubmatch(line); when != nil {
				last.When = when[1]
			}
			more = last.pushed(strings.TrimSuffix(strings.TrimSpace(rest), "'"))
			continue
		}
		if names := device.FindStringSubmatch(line); names != nil {
			made = strings.Join(names[1:], "")
			if last != nil {
				last.Interface = made
			}
		}
	}
	if last == nil {
		return nil
	}
	if last.Interface == "" {
		last.Interface = made // it may have been kept from an earlier session
	}
	return []Profile{*last}
}

// pushed takes the options of a PUSH_REPLY, and tells whether more of them follow.
func (p *Profile) pushed(options string) (more bool) {
	for option := range strings.SplitSeq(options, ",") {
		words := strings.Fields(option)
		p.option(words)
		more = more || slices.Equal(words, []string{"push-continuation", "2"})
	}
	return more
}

// option takes one option of OpenVPN in words, as it is pushed or written: openvpn(8).
func (p *Profile) option(words []string) {
	if len(words) < 2 {
		if len(words) == 1 && words[0] == "redirect-gateway" {
			p.route(everything(false))
		}
		return
	}
	switch words[0] {
	case "route":
		mask := ""
		if len(words) > 2 && words[2] != "default" {
			mask = words[2]
		}
		prefix, ok := masked(words[1], mask)
		p.towards(prefix, ok, len(words) > 3 && words[3] == "net_gateway")
	case "route-ipv6":
		prefix, err := netip.ParsePrefix(words[1])
		p.towards(prefix, err == nil, len(words) > 2 && words[2] == "net_gateway_ipv6")
	case "redirect-gateway":
		if !slices.Contains(words, "!ipv4") {
			p.route(everything(false))
		}
		if slices.Contains(words, "ipv6") {
			p.route(everything(true))
		}
	case "ifconfig", "ifconfig-ipv6":
		address, _, _ := strings.Cut(words[1], "/")
		if addr, err := netip.ParseAddr(address); err == nil && len(p.Addresses) < maxRoutes {
			p.Addresses = append(p.Addresses, addr)
		}
	}
}

// towards adds a route into the tunnel, or one that keeps out of it.
func (p *Profile) towards(prefix netip.Prefix, ok, out bool) {
	switch {
	case !ok:
	case !out:
		p.route(prefix)
	case len(p.Excluded) < maxRoutes:
		p.Excluded = append(p.Excluded, prefix)
	}
}

var openVPNWords = regexp.MustCompile(`(?m)^\s*(client|remote\s+\S+.*|dev\s+(tun|tap)\S*)\s*$`)

func isOpenVPNConfig(text string) bool { return len(openVPNWords.FindAllString(text, 2)) == 2 }

// readOpenVPNConfig reads the routes that a configuration adds to those of the server.
// Keys and certificates stand in blocks, which are passed over.
func readOpenVPNConfig(text string) []Profile {
	p := Profile{Client: OpenVPN}
	block := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if block != "" {
			if line == "</"+block+">" {
				block = ""
			}
			continue
		}
		if name, is := strings.CutPrefix(line, "<"); is && strings.HasSuffix(name, ">") {
			block = strings.TrimSuffix(name, ">")
			continue
		}
		if comment := strings.IndexAny(line, "#;"); comment >= 0 {
			line = line[:comment]
		}
		p.option(strings.Fields(line))
	}
	return []Profile{p}
}
