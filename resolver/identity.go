package resolver

import (
	"strings"

	"github.com/miekg/dns"
)

// Identity tells the servers behind one address apart by what they answer. What is empty
// is not told.
type Identity struct {
	// Name is told in class CH, by id.server (RFC 4892) and hostname.bind, and to those who
	// ask by NSID (RFC 5001). At most 255 octets.
	Name string
	// Version is that of the program: version.server and version.bind in class CH.
	Version string
}

// Identity is that of the server; it is not to be changed.
func (s *Snapshot) Identity() *Identity { return &s.identity }

// answer says what a name of class CH holds: a text, or nothing where that is not told.
func (i *Identity) answer(q Query) (answer Answer, known bool) {
	if q.Class != dns.ClassCHAOS {
		return Answer{}, false
	}
	var text string
	switch strings.ToLower(q.Spelling) {
	case "id.server.", "hostname.bind.":
		text = i.Name
	case "version.server.", "version.bind.":
		text = i.Version
	}
	if text == "" || q.Type != dns.TypeTXT && q.Type != dns.TypeANY {
		return Answer{}, false
	}
	// The library takes a backslash and a quote for the beginning of an escape.
	text = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text)
	return Answer{Source: FromLocal, Authoritative: true, Records: []dns.RR{&dns.TXT{
		Hdr: dns.RR_Header{Name: q.Spelling, Rrtype: dns.TypeTXT, Class: dns.ClassCHAOS}, Txt: []string{text},
	}}}, true
}
