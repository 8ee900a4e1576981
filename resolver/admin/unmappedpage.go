package admin

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// unmappedRow and unaskedRow are rows of the two tables of unmapped names.
type (
	unmappedRow struct {
		Network string
		UnmappedName
	}
	unaskedRow struct{ Network, Name string }
)

// unmappedList is what the page of the unmapped names shows.
type unmappedList struct {
	listing
	Never    bool // endpoints that nobody asks for, in place of names that are not mapped
	Unmapped []unmappedRow
	TOML     string // the rows that are shown, as a stub of a configuration
	Unasked  []unaskedRow
}

func (s *Server) unmappedPage(r *http.Request) page {
	data := unmappedList{listing: listed(r.URL.Query()), Never: r.URL.Query().Get("show") == "never-asked"}
	wanted := strings.ToLower(data.Search)
	finds := func(texts ...string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(strings.ToLower(text), wanted) })
	}
	if data.Never {
		data.Unasked = s.unaskedPart(&data.window, finds)
		return page{Data: data, Code: data.code()}
	}
	for _, network := range s.options.Unmapped() {
		for _, u := range network.Unmapped {
			if finds(network.Network, u.Name, u.Asked) {
				data.Unmapped = append(data.Unmapped, unmappedRow{network.Network, u})
			}
		}
	}
	data.Unmapped = cut(&data.window, data.Unmapped)
	data.TOML = unmappedStub(data.Unmapped)
	return page{Data: data, Code: data.code()}
}

// unaskedPart gives what a window shows of the endpoints that nobody asks for, and fits the
// window to how many there are: there may be a million, of which only those are kept.
func (s *Server) unaskedPart(w *window, finds func(...string) bool) []unaskedRow {
	for {
		var shown []unaskedRow
		count, asked := 0, w.Page
		for network, name := range s.neverAsked {
			if !finds(network, name) {
				continue
			}
			if count >= w.first() && len(shown) < w.size {
				shown = append(shown, unaskedRow{network, name})
			}
			count++
		}
		if w.of(count); w.Page == asked {
			return shown
		}
	}
}

// bareKey is what TOML takes for a key without quotation marks.
var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`) // never assigned again

// unmappedStub is a stub of a configuration for names, network by network: whoever knows an
// address writes it there and removes the #.
func unmappedStub(rows []unmappedRow) string {
	var text strings.Builder
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b unmappedRow) int { return strings.Compare(a.Network, b.Network) })
	for i, row := range rows {
		if i == 0 || rows[i-1].Network != row.Network {
			key := row.Network
			if !bareKey.MatchString(key) {
				key = fmt.Sprintf("%q", key)
			}
			if i > 0 {
				text.WriteString("\n")
			}
			fmt.Fprintf(&text, "[networks.%s.endpoints]\n", key)
		}
		last := row.Last.UTC().Format(time.RFC3339)
		fmt.Fprintf(&text, "# %q = \"\" # asked %s, last %s", row.Name, counted(row.Count, "time", "times"), last)
		if row.Address != "" {
			fmt.Fprintf(&text, ", answered %s", row.Address)
		}
		text.WriteString("\n")
	}
	return text.String()
}
