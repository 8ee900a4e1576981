package azureimport

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Kind is a sort of export.
type Kind string

// The kinds of export.
const (
	AZ        Kind = "az"        // az network private-endpoint, nic and private-dns lists
	Graph     Kind = "graph"     // Azure Resource Graph
	Terraform Kind = "terraform" // terraform show -json, or a state file of version 4
	ARM       Kind = "arm"       // Azure Resource Manager's REST interface
	DNSZone   Kind = "dns-zone"  // a master file (RFC 1035 section 5)
	Hosts     Kind = "hosts"     // a hosts file
)

// Kinds are all kinds of export.
func Kinds() []Kind { return []Kind{AZ, Graph, Terraform, ARM, DNSZone, Hosts} }

// ParseKind reads the name of a kind.
func ParseKind(text string) (Kind, error) {
	if slices.Contains(Kinds(), Kind(text)) {
		return Kind(text), nil
	}
	return "", fmt.Errorf("%q is no kind of export: name one of az, graph, terraform, arm, dns-zone, hosts", text)
}

// isJSON tells whether exports of the kind are JSON.
func (k Kind) isJSON() bool { return k != DNSZone && k != Hosts }

// kindOfKey is the kind of export that has a key at its top; empty for others.
func kindOfKey(key string) Kind {
	switch strings.ToLower(key) {
	case "format_version", "terraform_version", "lineage":
		return Terraform
	case "data", "total_records", "totalrecords", "skip_token", "$skiptoken", "resulttruncated":
		return Graph
	case "value", "nextlink":
		return ARM
	}
	return ""
}

// wrongKind is the error of an export that is of another kind than was said.
func wrongKind(looks Kind) error {
	return fmt.Errorf("it looks like an export of kind %s: import it as that", looks)
}

// The beginnings of texts in other encodings (Unicode 15, section 23.8).
const (
	markUTF8    = "\xef\xbb\xbf"
	markUTF16LE = "\xff\xfe"
	markUTF16BE = "\xfe\xff"
)

// begin looks at the beginning of an export: it steps over the mark of UTF-8 and
// refuses what cannot be of the kind that was said.
func begin(kind Kind, r *bufio.Reader) error {
	head, _ := r.Peek(sniffLength)
	if bytes.HasPrefix(head, []byte(markUTF16LE)) || bytes.HasPrefix(head, []byte(markUTF16BE)) {
		return fmt.Errorf("it is saved as UTF-16, as Windows PowerShell does behind \">\": save it as UTF-8, " +
			"with \"| Out-File -Encoding utf8 FILE\"")
	}
	if bytes.HasPrefix(head, []byte(markUTF8)) {
		head = head[len(markUTF8):]
		_, _ = r.Discard(len(markUTF8)) // what was peeked at is there
	}
	head = bytes.TrimLeft(head, " \t\r\n")
	switch looks := looksLike(head); {
	case len(head) == 0:
		return fmt.Errorf("it is empty: run the export again")
	case kind.isJSON() && head[0] != '{' && head[0] != '[' && looks != "":
		return wrongKind(looks)
	case kind.isJSON() && head[0] != '{' && head[0] != '[':
		return fmt.Errorf("it is no JSON: export it with \"-o json\"")
	case !kind.isJSON() && (head[0] == '{' || head[0] == '['):
		return fmt.Errorf("it looks like JSON: import it as az, graph, terraform or arm")
	case !kind.isJSON() && looks != "" && looks != kind:
		return wrongKind(looks)
	}
	return nil
}

const sniffLength = 2048

// looksLike tells zone files and hosts files apart by the first line that says
// anything; empty when it could be either or neither.
func looksLike(head []byte) Kind {
	for line := range strings.Lines(string(head)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if strings.HasPrefix(fields[0], ";") || strings.HasPrefix(fields[0], "$") || slices.Contains(fields, "IN") {
			return DNSZone
		}
		if _, err := netip.ParseAddr(fields[0]); err == nil && len(fields) > 1 {
			return Hosts
		}
		return ""
	}
	return ""
}
