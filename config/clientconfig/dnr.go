package clientconfig

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"text/template"

	"github.com/miekg/dns"
)

// DNR is the word for what a network tells its clients by DHCP and router advertisements
// (Discovery of Network-designated Resolvers, RFC 9463). It is no [Kind]: clients that
// take it ask the resolver about all names.
const DNR = "dnr"

// DNRFormats are the forms in which it can be written, the usual one first: for the DHCP
// servers Kea and dnsmasq.
func DNRFormats() []string { return []string{"kea", "dnsmasq"} }

// RenderDNR writes the options that tell clients of designated resolvers, given as the
// records by which the resolver tells of them itself (RFC 9462). The empty format is the
// usual one. The error says what is missing, or that an option has no room for all.
func RenderDNR(format, network string, records []*dns.SVCB) ([]byte, error) {
	if format == "" {
		format = DNRFormats()[0]
	}
	if !slices.Contains(DNRFormats(), format) {
		return nil, fmt.Errorf("%s has no format %q: name one of %s", DNR, format, join(DNRFormats()))
	}
	var view dnrPage
	for _, record := range records {
		resolver, err := newDesignated(record)
		if err != nil {
			return nil, err
		}
		view.Resolvers = append(view.Resolvers, resolver.text)
		if len(resolver.v4) > 0 {
			view.v4 = append(view.v4, resolver.dhcp4()...)
		}
		if len(resolver.v6) > 0 {
			view.V6 = append(view.V6, hex.EncodeToString(resolver.dhcp6()))
			view.Advertised = append(view.Advertised, hex.EncodeToString(resolver.advertised()))
		}
	}
	view.Owner, view.V4 = owner(network), hex.EncodeToString(view.v4)
	switch {
	case len(records) == 0:
		return nil, fmt.Errorf("clients of %s are told of no encrypted listener: open listen.dot or listen.doh with a certificate "+
			"for a name that leads them here, and see that listen.designated is not empty", view.Owner)
	case view.V4 == "" && len(view.V6) == 0:
		return nil, errors.New(`the options need addresses: write listen.designated = ["10.0.0.4"] with those that clients connect to`)
	case len(view.v4) > maxOption:
		return nil, fmt.Errorf("option 162 has no room for %d octets, more than %d: name fewer addresses in designated", len(view.v4),
			maxOption)
	}
	made, err := template.New(format+".tmpl").Funcs(template.FuncMap{"colons": colons}).ParseFS(templates, "templates/dnr/"+format+".tmpl")
	if err != nil {
		return nil, fmt.Errorf("read the template of %s: %w", DNR, err)
	}
	var text bytes.Buffer
	if err := made.Execute(&text, view); err != nil {
		return nil, fmt.Errorf("write the options of %s: %w", DNR, err)
	}
	return text.Bytes(), nil
}

// maxOption is the length of an option of DHCP that needs no splitting (RFC 3396).
const maxOption = 255

// advertisedFor is how long a router advertisement holds, in seconds.
const advertisedFor = 1800

// dnrPage is what a template is filled from. Options are in hexadecimal.
type dnrPage struct {
	Owner      string
	Resolvers  []string // in presentation form, for comments
	V4         string   // option 162 of DHCPv4, with all resolvers
	V6         []string // options 144 of DHCPv6, one for each resolver
	Advertised []string // options of router advertisements, whole, one for each
	v4         []byte
}

// colons puts colons between octets.
func colons(octets string) string {
	var pairs []string
	for pair := range slices.Chunk([]byte(octets), 2) {
		pairs = append(pairs, string(pair))
	}
	return strings.Join(pairs, ":")
}

// designatedResolver is one resolver in the form that options have.
type designatedResolver struct {
	text       string
	priority   uint16
	name       []byte // of its certificate, in wire form
	v4, v6     []byte
	parameters []byte // SvcParams without address hints (RFC 9463 section 3.1.8)
}

func newDesignated(record *dns.SVCB) (r designatedResolver, err error) {
	r.priority = record.Priority
	name := make([]byte, 256)
	end, err := dns.PackDomainName(record.Target, name, 0, nil, false)
	if err != nil {
		return r, fmt.Errorf("put %s into an option: %w", record.Target, err)
	}
	r.name = name[:end]
	bare := *record
	bare.Hdr.Name, bare.Value = ".", nil
	for _, value := range record.Value {
		switch hint := value.(type) {
		case *dns.SVCBIPv4Hint:
			r.v4 = appendAddresses(r.v4, hint.Hint, net.IP.To4)
		case *dns.SVCBIPv6Hint:
			r.v6 = appendAddresses(r.v6, hint.Hint, net.IP.To16)
		default:
			bare.Value = append(bare.Value, value)
		}
	}
	packed := make([]byte, dns.Len(&bare)+len(record.Target))
	if end, err = dns.PackRR(&bare, packed, 0, nil, false); err != nil {
		return r, fmt.Errorf("put the parameters of %s into an option: %w", record.Target, err)
	}
	const fixed = 1 + 10 + 2 // the root as owner, what stands before the data, and the priority
	r.parameters = packed[fixed+len(r.name) : end]
	r.text = strings.TrimPrefix(record.String(), record.Hdr.String())
	return r, nil
}

func appendAddresses(to []byte, addresses []net.IP, form func(net.IP) net.IP) []byte {
	for _, addr := range addresses {
		to = append(to, form(addr)...)
	}
	return to
}

// dhcp4 is an instance within option 162 of DHCPv4 (RFC 9463 section 5.1).
func (r designatedResolver) dhcp4() []byte {
	body := binary.BigEndian.AppendUint16(nil, r.priority)
	body = append(append(body, byte(len(r.name))), r.name...)
	body = append(append(body, byte(len(r.v4))), r.v4...)
	body = append(body, r.parameters...)
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(body))), body...)
}

// dhcp6 is option 144 of DHCPv6, without its head (section 4.1).
func (r designatedResolver) dhcp6() []byte {
	body := binary.BigEndian.AppendUint16(nil, r.priority)
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(r.name))), r.name...)
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(r.v6))), r.v6...)
	return append(body, r.parameters...)
}

// advertised is an option of router advertisements (section 6.1).
func (r designatedResolver) advertised() []byte {
	const kind, unit = 144, 8 // octets
	body := binary.BigEndian.AppendUint16([]byte{kind, 0}, r.priority)
	body = binary.BigEndian.AppendUint32(body, advertisedFor)
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(r.name))), r.name...)
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(r.v6))), r.v6...)
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(r.parameters))), r.parameters...)
	for len(body)%unit != 0 {
		body = append(body, 0)
	}
	body[1] = byte(len(body) / unit)
	return body
}
