package admin

import (
	"strings"
	"time"
)

// Store is how the store of a fleet is followed, for /readyz and the pages.
type Store struct {
	Where    string    `json:"where"`
	Channel  string    `json:"channel"`
	Instance string    `json:"instance"`         // the name of this instance
	Release  string    `json:"release"`          // that is served; empty for none
	Short    string    `json:"-"`                // its first digits
	Pushed   time.Time `json:"pushed,omitzero"`  // by the clock of whoever pushed it
	By       string    `json:"by,omitempty"`     // who pushed it
	Note     string    `json:"note,omitempty"`   // what was said of it
	Taken    time.Time `json:"taken,omitzero"`   // when it was fetched
	Since    time.Time `json:"since,omitzero"`   // when it was served first, since the start
	Saved    bool      `json:"saved"`            // whether it is on disk
	Wanted   string    `json:"wanted,omitempty"` // what the channel named when the store answered last
	Answered time.Time `json:"answered,omitzero"`
	// Faults are what somebody should look at. None of them changes an answer.
	Faults []StoreFault `json:"faults"`
}

// StoreFault is something that is wrong with the store, or with what it gives.
type StoreFault struct {
	Since time.Time `json:"since,omitzero"`
	Text  string    `json:"text"`
}

// ofStore are the conditions of the store.
func ofStore(s *Store) (all []Condition) {
	if s == nil {
		return nil
	}
	for _, fault := range s.Faults {
		first, _, _ := strings.Cut(fault.Text, "\n")
		all = append(all, Condition{Degraded, first, fault.Since, "/sources"})
	}
	return all
}
