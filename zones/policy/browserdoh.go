package policy

import (
	_ "embed"
	"fmt"
	"strings"

	"pldns/zones"
)

// BrowserDoH names the policy that [NewBrowserDoH] makes.
const BrowserDoH = "browser-doh"

//go:embed browser-doh.rpz
var browserDoH string

// NewBrowserDoH is the policy by which a network tells browsers and systems not to take
// their names elsewhere: the names that they ask for to find that out do not exist.
func NewBrowserDoH() *Policy {
	b := NewBuilder()
	if _, err := b.Read(strings.NewReader(browserDoH), RPZ, zones.Name{}); err != nil {
		panic(fmt.Sprintf("browser-doh.rpz: %v", err)) // the program is wrong
	}
	return b.Build(Options{Name: BrowserDoH})
}
