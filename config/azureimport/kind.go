package azureimport

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// Kind is a sort of export.
type Kind string

// The kinds of export.
const (
	AZ        Kind = "az"          // lists of the Azure command line, or of PowerShell as JSON
	Graph     Kind = "graph"       // Azure Resource Graph
	Terraform Kind = "terraform"   // terraform or tofu show -json, or a state file of version 4
	Pulumi    Kind = "pulumi"      // pulumi stack export
	ARM       Kind = "arm"         // Azure Resource Manager's REST interface, and outputs of deployments
	DNSZone   Kind = "dns-zone"    // a master file (RFC 1035 section 5)
	Hosts     Kind = "hosts"       // a hosts file
	Windows   Kind = "windows-dns" // Get-DnsServerResourceRecord, as JSON or CSV
	Infoblox  Kind = "infoblox"    // CSV export of Infoblox
	Dnsmasq   Kind = "dnsmasq"     // dnsmasq.conf
	Unbound   Kind = "unbound"     // unbound.conf
	CoreDNS   Kind = "coredns"     // a Corefile with hosts blocks
)

// Kinds are all kinds of export.
func Kinds() []Kind {
	return []Kind{AZ, Graph, Terraform, Pulumi, ARM, DNSZone, Hosts, Windows, Infoblox, Dnsmasq, Unbound, CoreDNS}
}

// ParseKind reads the name of a kind. The error lists those that there are.
func ParseKind(text string) (Kind, error) {
	if slices.Contains(Kinds(), Kind(text)) {
		return Kind(text), nil
	}
	names := make([]string, len(Kinds()))
	for i, kind := range Kinds() {
		names[i] = string(kind)
	}
	return "", fmt.Errorf("%q is no kind of export: name one of %s", text, strings.Join(names, ", "))
}

// isJSON reports whether exports of the kind are JSON.
func (k Kind) isJSON() bool { return slices.Contains([]Kind{AZ, Graph, Terraform, Pulumi, ARM}, k) }

// kindOfKey is the kind of export that has a key at its top; empty for others.
func kindOfKey(key string) Kind {
	switch strings.ToLower(key) {
	case "format_version", "terraform_version", "lineage":
		return Terraform
	case "deployment":
		return Pulumi
	case "data", "total_records", "totalrecords", "skip_token", "$skiptoken", "resulttruncated":
		return Graph
	case "value", "nextlink":
		return ARM
	}
	return ""
}

// foreignForm refuses a key at the top of forms that cannot be read.
func foreignForm(key string) error {
	switch key {
	case "encrypted_data", "encryption_version":
		return errors.New("it is an encrypted state of OpenTofu: export it with \"tofu show -json\", which decrypts it")
	case "ciphertext":
		return errors.New("it is encrypted: export it in the clear")
	}
	return nil
}

// wrongKind is the error of an export that is of another kind than was said.
func wrongKind(looks Kind) error {
	return fmt.Errorf("it looks like an export of kind %s: import it as that", looks)
}

// The beginnings of texts in other encodings (Unicode 15, section 23.8), and of
// gzip (RFC 1952 section 2.3.1), of colours of a terminal and of zip archives.
const (
	markUTF8    = "\xef\xbb\xbf"
	markUTF16LE = "\xff\xfe"
	markUTF16BE = "\xfe\xff"
	markGzip    = "\x1f\x8b"
	markColour  = "\x1b["
	markZip     = "PK\x03\x04"
)

// plainReader reads an export as it is, or decompressed. The limits hold for what is
// read of it.
func plainReader(r io.Reader, l limits) (*bufio.Reader, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	head, _ := buffered.Peek(len(markGzip))
	if string(head) != markGzip {
		return buffered, nil
	}
	decompressed, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, fmt.Errorf("it is no whole gzip file: %w: compress it again", err)
	}
	return bufio.NewReaderSize(&gzipReader{decompressed, l.total}, 64<<10), nil
}

// gzipReader bounds what a compressed export may grow to, and puts faults of the
// compression into words.
type gzipReader struct {
	from io.Reader
	left int64
}

func (g *gzipReader) Read(p []byte) (int, error) {
	if g.left <= 0 {
		return 0, errTotal
	}
	n, err := g.from.Read(p[:min(int64(len(p)), g.left)])
	g.left -= int64(n)
	if err != nil && err != io.EOF {
		err = errors.New("its compression is broken: compress it again")
	}
	return n, err
}

// begin looks at the beginning of an export: it steps over the mark of UTF-8 and
// refuses what cannot be of the kind that was said.
func begin(kind Kind, r *bufio.Reader) error {
	head, err := r.Peek(sniffLength)
	switch {
	case err != nil && err != io.EOF:
		return err
	case bytes.HasPrefix(head, []byte(markUTF16LE)), bytes.HasPrefix(head, []byte(markUTF16BE)):
		return errors.New("it is saved as UTF-16, as Windows PowerShell does behind \">\": save it as UTF-8, " +
			"with \"| Out-File -Encoding utf8 FILE\"")
	case bytes.HasPrefix(head, []byte(markUTF8)):
		head = head[len(markUTF8):]
		_, _ = r.Discard(len(markUTF8)) // what was peeked at is there
	}
	head = bytes.TrimLeft(head, " \t\r\n")
	isJSON := len(head) > 0 && (head[0] == '{' || head[0] == '[')
	switch looks := looksLike(head); {
	case len(head) == 0:
		return errors.New("it is empty: run the export again")
	case bytes.HasPrefix(head, []byte(markZip)):
		return errors.New("it is a zip archive, such as a spreadsheet or a plan file of Terraform: save a spreadsheet as CSV, " +
			"and export a plan with \"terraform show -json FILE\"")
	case bytes.HasPrefix(head, []byte(markColour)):
		return errors.New("it has the colours of a terminal: export it with \"-o json\", not jsonc")
	case kind.isJSON() && isJSON, kind == Windows && isJSON:
		return nil
	case kind.isJSON() && looks != "":
		return wrongKind(looks)
	case kind.isJSON():
		return noJSON(head)
	case isJSON:
		return errors.New("it looks like JSON: import it as az, graph, terraform, pulumi or arm, or as windows-dns")
	case looks != "" && looks != kind:
		return wrongKind(looks)
	}
	return nil
}

// noJSON says of a text that is no JSON what it is.
func noJSON(head []byte) error {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	for _, word := range []string{"WARNING:", "ERROR:", "DEBUG:", "INFO:"} {
		if bytes.HasPrefix(line, []byte(word)) {
			return fmt.Errorf("it begins with a message (%s ...), and not with JSON: run the export again with \"-o json\", "+
				"and save only its standard output", word)
		}
	}
	return errors.New("it is no JSON: export it with \"-o json\"")
}

const sniffLength = 2048

// looksLike tells files of lines apart by the first line that says anything; empty
// when it could be several kinds or none.
func looksLike(head []byte) Kind {
	for line := range strings.Lines(string(head)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") && !strings.HasPrefix(fields[0], "#TYPE") {
			continue
		}
		first := strings.ToLower(fields[0])
		starts := func(prefixes ...string) bool {
			return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(first, prefix) })
		}
		switch {
		case starts("header-"):
			return Infoblox
		case starts("#type", `"hostname"`, "hostname,"):
			return Windows
		case starts("address=/", "host-record=", "server=/", "cname="):
			return Dnsmasq
		case starts("server:", "local-data:", "local-zone:"):
			return Unbound
		case starts(";", "$") || slices.Contains(fields, "IN"):
			return DNSZone
		case strings.HasSuffix(strings.TrimSpace(line), "{"):
			return CoreDNS
		}
		if _, err := netip.ParseAddr(fields[0]); err == nil && len(fields) > 1 {
			return Hosts
		}
		return ""
	}
	return ""
}
