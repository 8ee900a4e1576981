package secondary

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"pldns/resolver/tsig"
	"pldns/zones"
	"pldns/zones/content"
)

// DefaultMaxRecords is how many records a zone may have where nothing is said.
const DefaultMaxRecords = 1_000_000

// Source is where a zone is copied from.
type Source struct {
	// ID names the copy; two sources of one zone, for two networks, have two.
	ID   string
	Zone zones.Name
	// Primaries are asked in this order.
	Primaries []Primary
	// For says whom the copy is for, in words that do not change with its primaries; empty if nobody
	// else's may be served in its place while there is none.
	For string
	// MaxRecords is how many records the zone may have; 0 is [DefaultMaxRecords].
	MaxRecords int
	// Check says why a version of the zone is not to be taken, though it is a zone: what was
	// held before stays, and the primaries are asked again. Nil takes every zone. It is called
	// by any number of goroutines.
	Check func(*content.Zone) error
}

// Primary is a server that has a zone.
type Primary struct {
	Addr netip.AddrPort
	// TLS is how the server is known, by ServerName and RootCAs; version and protocol are set as
	// RFC 9103 wants it. Nil is plain TCP.
	TLS *tls.Config
	// Key signs what is asked, and has to sign what is answered; nil is none.
	Key *tsig.Key
}

// String is the address, as a server is written in the configuration.
func (p Primary) String() string {
	if p.TLS != nil {
		return "tls://" + p.Addr.String() + "#" + p.TLS.ServerName
	}
	return p.Addr.String()
}

// same tells whether two primaries are asked in the same way. Roots are not compared: they are
// read anew for each reload.
func (p Primary) same(other Primary) bool {
	return p.String() == other.String() && sameKey(p.Key, other.Key)
}

func sameKey(a, b *tsig.Key) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Name == b.Name && a.Algorithm == b.Algorithm && bytes.Equal(a.Secret, b.Secret)
}

// same tells whether a zone is asked for in the same way.
func (s Source) same(other Source) bool {
	return s.Zone == other.Zone && s.maxRecords() == other.maxRecords() && slices.EqualFunc(s.Primaries, other.Primaries, Primary.same)
}

func (s Source) maxRecords() int {
	if s.MaxRecords <= 0 {
		return DefaultMaxRecords
	}
	return s.MaxRecords
}

// key is the name of the key that the primaries are asked with; empty for none. With different keys a
// server may have different views of a zone.
func (s Source) key() string {
	for _, p := range s.Primaries {
		if p.Key != nil {
			return p.Key.Name.FQDN()
		}
	}
	return ""
}

// whom is a digest of whom the copy is for; empty for nobody.
func (s Source) whom() string {
	if s.For == "" {
		return ""
	}
	digest := sha256.Sum256([]byte(s.For))
	return hex.EncodeToString(digest[:idOctets])
}

// head is what is known of a copy of the source beside when it was confirmed.
func (s Source) head() head { return head{zone: s.Zone, from: s.addrs(), key: s.key(), whom: s.whom()} }

// isHeir tells whether the source may begin with a copy of another one: of the same zone, and for the
// same as before, or of some of the same primaries with the same key.
func (s Source) isHeir(of head) bool {
	if s.Zone != of.zone {
		return false
	}
	return s.For != "" && s.whom() == of.whom || s.key() == of.key && !areStrangers(s.addrs(), of.from)
}

// isAnew tells whether the copy of another source cannot be compared with the zone by its serial: it is
// of other servers, or of what may be another view of the same ones.
func (s Source) isAnew(of head) bool { return s.key() != of.key || areStrangers(s.addrs(), of.from) }

// addrs are the addresses of the primaries.
func (s Source) addrs() (all []string) {
	for _, p := range s.Primaries {
		all = append(all, p.Addr.String())
	}
	return all
}

// Options say what stays the same for as long as a [Server] lives.
type Options struct {
	// Dir is where the copies are kept; empty keeps none. It is made if it is not there.
	Dir string
	// Replace puts what write writes in the place of a file, as a whole or not at all. It is
	// needed where there is a Dir.
	Replace func(path string, mode os.FileMode, write func(*os.File) error) error
	// Changed is told which copies have changed: others have come, have expired or are good
	// again. It is called by one goroutine, not more than once a second, and may call Hold.
	Changed func(ids []string)
	// Logger is told of transfers and faults; nil discards.
	Logger *slog.Logger
	// Observer counts; nil is nobody.
	Observer Observer
	// Dial opens a TCP connection to a primary; nil is the system's way.
	Dial func(ctx context.Context, addr netip.AddrPort) (net.Conn, error)
}

// State is what is known of a copy, for people and programs that look at it.
type State struct {
	ID        string
	Zone      zones.Name
	Primaries []string
	Loaded    bool   // there is a copy
	Expired   bool   // but it is not served any more
	Serial    uint32 // of the copy
	Records   int
	Refreshed time.Time // when a primary last confirmed the copy; zero for never
	Changed   time.Time // when the copy came; zero if it was read from disk
	Next      time.Time // when the primaries are asked again; zero while they are
	Expires   time.Time // when the copy is not served any more, if nobody confirms it
	Primary   string    // who confirmed it last; empty if that was before the start
	Fault     string    // why the last attempt failed; empty if it did not
	Since     time.Time // since when attempts have failed; zero if the last one did not
	Unsaved   string    // why the copy is not on disk; empty if it is, or is to be
}
