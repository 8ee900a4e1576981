package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

// explain answers /api/explain?name=NAME&client=IP[&type=TYPE][&listener=IP:PORT]
// [&server_name=NAME][&certificate=NAME][&path=NETWORK][&link_id=NUMBER]
// with a [resolver.Explanation], or 400 and {"error": ...}.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	query, err := ParseQuestion(r.URL.Query())
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	answer, trace := s.options.Explain(r.Context(), query)
	explanation := resolver.NewExplanation(query, answer, trace)
	if store := s.options.Status().Store; store != nil {
		explanation.Release = store.Release
	}
	writeJSON(w, http.StatusOK, explanation)
}

// ParseQuestion reads the query to be explained from its parameters: name and client are
// needed; type is A, and the listener unknown, where they are absent. The error names the
// parameter that is missing or cannot be read.
func ParseQuestion(values url.Values) (resolver.Query, error) {
	var faults []error
	name, err := zones.ParseName(values.Get("name"))
	if err != nil {
		faults = append(faults, fmt.Errorf("name: %w: give the name that is looked up", err))
	}
	qtype, err := parseType(values.Get("type"))
	if err != nil {
		faults = append(faults, err)
	}
	client, err := netip.ParseAddr(values.Get("client"))
	if err != nil {
		faults = append(faults, fmt.Errorf("client: %q is no IP address: give the address that the query comes from", values.Get("client")))
	}
	var listener netip.AddrPort
	if text := values.Get("listener"); text != "" {
		if listener, err = parseListener(text); err != nil {
			faults = append(faults, err)
		}
	}
	asker := zones.NewClient(client, listener)
	if asker.Shown, err = parseShown(values); err != nil {
		faults = append(faults, err)
	}
	return resolver.NewClientQuery(name, qtype, asker), errors.Join(faults...)
}

// parseShown reads what the client shows besides its address: server_name,
// certificate, which may hold several names with commas between them, path and
// link_id, all of which may be absent.
func parseShown(values url.Values) (*zones.Shown, error) {
	shown := new(zones.Shown)
	var faults []error
	given := false
	read := func(key string, parse func(text string) error) {
		if text := values.Get(key); text != "" {
			given = true
			faults = append(faults, parse(text))
		}
	}
	name := func(key string, to *zones.Name) func(string) error {
		return func(text string) (err error) {
			if *to, err = zones.ParseName(text); err != nil {
				return fmt.Errorf("%s: %w: give the name that the client uses", key, err)
			}
			return nil
		}
	}
	read("server_name", name("server_name", &shown.ServerName))
	read("certificate", func(text string) error {
		var wrong []error
		for _, one := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
			var parsed zones.Name
			wrong = append(wrong, name("certificate", &parsed)(one))
			shown.Certificates = append(shown.Certificates, parsed)
		}
		return errors.Join(wrong...)
	})
	read("path", func(text string) error {
		shown.Path = strings.TrimPrefix(text, zones.DoHPath+"/")
		return nil
	})
	read("link_id", func(text string) error {
		number, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return fmt.Errorf("link_id: %q is no link id: give the number that Azure shows", text)
		}
		shown.Link, shown.Linked = uint32(number), true
		return nil
	})
	if !given {
		return nil, nil
	}
	return shown, errors.Join(faults...)
}

// parseType reads a type by its mnemonic, as TYPE65280, or as a number.
func parseType(text string) (uint16, error) {
	text = strings.ToUpper(text)
	if text == "" {
		return dns.TypeA, nil
	}
	if qtype, known := dns.StringToType[text]; known {
		return qtype, nil
	}
	number, err := strconv.ParseUint(strings.TrimPrefix(text, "TYPE"), 10, 16)
	if err != nil {
		return 0, fmt.Errorf("type: %q is no record type: give one such as A, AAAA, HTTPS or TYPE65280", text)
	}
	return uint16(number), nil
}

// parseListener reads the address that the query reaches; the port is 53 where
// it is absent.
func parseListener(text string) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(addr, 53), nil
	}
	listener, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("listener: %q is no address: give the address that the query reaches, such as 10.9.0.5:53",
			text)
	}
	return listener, nil
}
