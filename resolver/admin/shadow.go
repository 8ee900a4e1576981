package admin

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Shadow is how answers compare with those of another upstream, as /api/shadow says it.
type Shadow struct {
	Upstream string          `json:"upstream"` // the group that is asked as well; empty when none is
	Sample   float64         `json:"sample"`   // the share of the answers that is compared
	MaxQPS   float64         `json:"max_qps"`
	Since    time.Time       `json:"since,omitzero"`    // since when it is counted
	Failing  []string        `json:"failing,omitempty"` // servers of the group that do not answer
	Networks []ShadowNetwork `json:"networks"`
}

// ShadowNetwork is how the answers of one network compare.
type ShadowNetwork struct {
	Network string `json:"network"`
	// Same and Different are answers that were compared.
	Same      int `json:"same"`
	Different int `json:"different"`
	// Failed met no answer of the other, Repeated had been compared a moment before, and
	// Dropped were too many.
	Failed   int `json:"failed"`
	Repeated int `json:"repeated"`
	Dropped  int `json:"dropped"`
	// Differences are those that differ still first; Lost is how many others made room.
	Differences []ShadowDifference `json:"differences"`
	Lost        int                `json:"lost,omitempty"`
}

// Compared is how many answers were compared.
func (n ShadowNetwork) Compared() int { return n.Same + n.Different }

// ShadowDifference is a question that the other answers otherwise.
type ShadowDifference struct {
	Name   string       `json:"name"`
	Type   string       `json:"type"`
	Kind   string       `json:"kind"` // rcode, nodata, addresses or alias
	Ours   ShadowAnswer `json:"pldns"`
	Theirs ShadowAnswer `json:"other"`
	Count  int          `json:"count"`
	First  time.Time    `json:"first"`
	Last   time.Time    `json:"last"`
	// Agreed is when the answers agreed again; absent while they differ.
	Agreed *time.Time `json:"agreed,omitempty"`
}

// ShadowAnswer is what counts of an answer.
type ShadowAnswer struct {
	Rcode     string       `json:"rcode"`
	Addresses []netip.Addr `json:"addresses,omitempty"` // the first eight
	Alias     string       `json:"alias,omitempty"`     // where its aliases lead in the end
	Text      string       `json:"text"`                // all of it for people
}

// shadow is how answers compare now.
func (s *Server) shadow() Shadow {
	if s.options.Shadow == nil {
		return Shadow{Networks: []ShadowNetwork{}}
	}
	return s.options.Shadow()
}

// showShadow answers /api/shadow.
func (s *Server) showShadow(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.shadow())
}

// shadowRow is a row of the table of differences.
type shadowRow struct {
	Network string
	ShadowDifference
}

// shadowList is what the page of the comparison shows.
type shadowList struct {
	listing
	Shadow Shadow
	Rows   []shadowRow
}

func (s *Server) shadowPage(r *http.Request) page {
	data := shadowList{listing: listed(r.URL.Query()), Shadow: s.shadow()}
	wanted := strings.ToLower(data.Search)
	for _, network := range data.Shadow.Networks {
		for _, d := range network.Differences {
			texts := []string{network.Network, d.Name, d.Kind, d.Ours.Text, d.Theirs.Text}
			if slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(strings.ToLower(text), wanted) }) {
				data.Rows = append(data.Rows, shadowRow{network.Network, d})
			}
		}
	}
	slices.SortStableFunc(data.Rows, func(a, b shadowRow) int {
		if (a.Agreed == nil) != (b.Agreed == nil) {
			if a.Agreed == nil {
				return -1
			}
			return 1
		}
		return b.Count - a.Count
	})
	data.Rows = cut(&data.window, data.Rows)
	return page{Data: data, Code: data.code()}
}
