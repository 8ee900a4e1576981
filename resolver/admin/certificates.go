package admin

import (
	"slices"
	"time"
)

// Certificate is one that the secure listeners show.
type Certificate struct {
	Name  string    `json:"name"`  // of its table; "default" for that of [tls] itself
	Names []string  `json:"names"` // names and addresses that it is for
	Key   string    `json:"key"`   // the kind of its key, such as ECDSA
	Until time.Time `json:"until"` // when it expires
}

// Expired tells whether it has expired.
func (c Certificate) Expired() bool { return time.Now().After(c.Until) }

const (
	// certificateWarning is how long before its end a certificate is warned of.
	certificateWarning = 14 * 24 * time.Hour
	// certificateRows is how many certificates the overview shows, and certificateNames
	// how many names of each.
	certificateRows, certificateNames = 10, 6
)

// First are the names of the certificate that are shown.
func (c Certificate) First() []string { return c.Names[:min(certificateNames, len(c.Names))] }

// Others is how many names of the certificate are not shown.
func (c Certificate) Others() int { return max(0, len(c.Names)-certificateNames) }

// endingFirst are those of some certificates that end first.
func endingFirst(all []Certificate) []Certificate {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b Certificate) int { return a.Until.Compare(b.Until) })
	return all[:min(certificateRows, len(all))]
}

// ofCertificates are the conditions of the certificates that nobody can use for long, or any
// more.
func ofCertificates(all []Certificate, now time.Time) (conditions []Condition) {
	which := func(c Certificate) string {
		if len(all) == 1 {
			return "the certificate"
		}
		return "the certificate " + c.Name
	}
	for _, c := range all {
		warned := c.Until.Add(-certificateWarning)
		switch {
		case now.Before(warned):
		case now.Before(c.Until):
			conditions = append(conditions, Condition{Degraded, which(c) + " expires at " + when(c.Until), warned, "/#certificates"})
		default:
			conditions = append(conditions, Condition{Failing, which(c) + " has expired", c.Until, "/#certificates"})
		}
	}
	return conditions
}
