package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// parseServer reads one server of a group that has some bootstrap addresses.
func parseServer(text string, bootstrap []netip.Addr) (Server, *fault) {
	scheme, rest, with := strings.Cut(text, "://")
	if !with {
		scheme, rest = "udp", text
	}
	server := Server{Text: text, Transport: scheme}
	var f *fault
	switch scheme {
	case "udp", "tcp":
		if !with && text == "system" {
			return Server{Text: text, System: true, Transport: scheme}, nil
		}
		server.Addr, f = parseRemote(scheme, rest, portDNS, "168.63.129.16")
	case "tls", "quic":
		rest, server.Name, _ = strings.Cut(rest, "#")
		if server.Addr, f = parseRemote(scheme, rest, portTLS, ""); f == nil {
			f = certificateFault(text, server.Name)
		}
	case "https", "h3":
		server.URL = "https://" + rest
		f = server.locate(bootstrap)
	default:
		f = faultf("write udp, tcp, tls, quic, https or h3 in front of ://", "%q has an unknown scheme", text)
	}
	return server, f
}

// parseRemote reads the address of a server behind its scheme. The example is one without
// a certificate.
func parseRemote(scheme, text string, usual uint16, example string) (netip.AddrPort, *fault) {
	if scheme == "tls" || scheme == "quic" {
		example = scheme + "://10.0.0.4#dns.contoso.com"
	}
	socket, err := netip.ParseAddrPort(text)
	if err != nil {
		addr, err := netip.ParseAddr(unbracket(text))
		if err != nil {
			return socket, remoteFault(scheme, text, example)
		}
		socket = netip.AddrPortFrom(addr, usual)
	}
	return socket, remoteAddrFault(socket)
}

// remoteAddrFault refuses what no server can be reached at. A zone is fine: it
// says on which link a link-local server is.
func remoteAddrFault(socket netip.AddrPort) *fault {
	addr := socket.Addr()
	kind := unusable(addr)
	switch {
	case addr.Is4In6():
		return faultf(fmt.Sprintf("write %q", addr.Unmap()), "%q is an IPv4 address in IPv6 form", addr)
	case kind != "":
		return faultf("write the IP address of the server", "%q is %s", addr, kind)
	case socket.Port() == 0:
		return faultf("write a port from 1 to 65535", "%q has port 0", socket)
	}
	return nil
}

// remoteFault says why a text is no address of a server.
func remoteFault(scheme, text, example string) *fault {
	host, _, _ := strings.Cut(text, ":")
	isName := strings.ContainsFunc(host, unicode.IsLetter) && strings.Contains(host, ".") && hostFault(host, false) == ""
	switch {
	case strings.Contains(text, "#"):
		return faultf(fmt.Sprintf("write \"tls://%s\"", text), "%q has a certificate name without tls:// or quic://", text)
	case (scheme == "tls" || scheme == "quic") && isName:
		return faultf(fmt.Sprintf("write its IP address with the name behind it, as in \"%s://10.0.0.4#%s\"", scheme, host),
			"%q is a name, not an address", text)
	case isName:
		return faultf(fmt.Sprintf("write its IP address, such as %q", example), "%q is a name, not an address", text)
	default:
		return faultf(fmt.Sprintf("write the IP address of a server, such as %q", example), "%q is no server", text)
	}
}

// certificateFault refuses what no certificate is for.
func certificateFault(text, name string) *fault {
	switch {
	case name == "" && strings.Contains(text, "#"):
		return faultf("write the name in the server's certificate behind #, or leave out the #", "%q has an empty name", text)
	case name != "" && hostFault(name, false) != "":
		scheme, _, _ := strings.Cut(text, "://")
		remedy := fmt.Sprintf("write the name in the server's certificate behind #, as in \"%s://10.0.0.4#dns.contoso.com\"", scheme)
		return faultf(remedy, "%q is no certificate name", name)
	}
	return nil
}

// locate reads the URL of a DNS over HTTPS server and says where the server is: at
// the address in the URL, or at the bootstrap addresses of the name in it.
func (s *Server) locate(bootstrap []netip.Addr) *fault {
	example := fmt.Sprintf(`write a URL such as "%s://10.0.0.4/dns-query"`, s.Transport)
	parsed, err := url.Parse(s.URL)
	if err != nil || parsed.Host == "" {
		return faultf(example, "%q is no URL", s.Text)
	}
	switch {
	case parsed.User != nil:
		return faultf("leave out what stands before the @", "%q holds a user", s.Text)
	case strings.ContainsAny(s.URL, "?#{}"):
		return faultf("end the URL behind its path", "%q has more than a path", s.Text)
	case strings.Trim(parsed.Path, "/") == "":
		remedy := fmt.Sprintf("write the path the server has, often \"%s://%s/dns-query\"", s.Transport, parsed.Host)
		return faultf(remedy, "%q has no path", s.Text)
	}
	s.Name = parsed.Hostname()
	port, f := urlPort(parsed)
	if f != nil {
		return f
	}
	if addr, err := netip.ParseAddr(s.Name); err == nil {
		s.Addr = netip.AddrPortFrom(addr, port)
		return remoteAddrFault(s.Addr)
	}
	if wrong := hostFault(s.Name, false); wrong != "" {
		return &fault{wrong, example}
	}
	if len(bootstrap) == 0 {
		return faultf("add bootstrap = [...] with the addresses of "+s.Name, "%q needs another server to find its own", s.Text)
	}
	for _, addr := range bootstrap {
		s.Bootstrap = append(s.Bootstrap, netip.AddrPortFrom(addr, port))
	}
	return nil
}

// urlPort is the port of a DNS over HTTPS server.
func urlPort(parsed *url.URL) (uint16, *fault) {
	if parsed.Port() == "" && !strings.HasSuffix(parsed.Host, ":") {
		return portHTTPS, nil
	}
	port, err := strconv.ParseUint(parsed.Port(), 10, 16)
	if err != nil || port == 0 {
		return 0, faultf("write a port from 1 to 65535", "%q has no valid port", parsed.Host)
	}
	return uint16(port), nil
}
