package store

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"pldns/config"
	"pldns/config/release"
)

// Store holds objects and channels. Its methods may be called by any number of goroutines.
type Store interface {
	// Object gives an object as it is stored, which is not trusted; [ErrAbsent] where it is
	// not there.
	Object(ctx context.Context, d release.Digest) ([]byte, error)
	// PutObject stores an object, unless it is there as it should be.
	PutObject(ctx context.Context, d release.Digest, stored []byte) error
	// Channel gives a channel and its version; [ErrAbsent], and the version that stands
	// for that, where nothing was pushed to it yet.
	Channel(ctx context.Context, name string) (Channel, Version, error)
	// SwapChannel puts a channel in the place of the one of a version; [ErrChanged] where
	// somebody else was faster.
	SwapChannel(ctx context.Context, name string, was Version, next Channel) error
	// AwaitChannel returns when a channel may be another one than at a version, and after
	// half a minute at the latest. The error says why it cannot be told.
	AwaitChannel(ctx context.Context, name string, seen Version) error
	// Sweep removes the objects that no channel needs: used gives those of all channels.
	// What is put or pushed meanwhile stays. It gives how many went.
	Sweep(ctx context.Context, used func([]Channel) (map[release.Digest]bool, error)) (int, error)
	Close() error
}

// Version tells one state of a channel from another.
type Version struct {
	tag string // of a file; empty where there is none
	// In etcd: the revision at which the channel was put, the one at which it was read,
	// and the one at which objects were removed last.
	put, read, swept int64
}

// Same tells whether two versions are of the same state.
func (v Version) Same(other Version) bool { return v.tag == other.tag && v.put == other.put }

var (
	// ErrAbsent is an object or a channel that is not there.
	ErrAbsent = errors.New("it is not there")
	// ErrChanged is a channel that somebody else changed meanwhile.
	ErrChanged = errors.New("somebody else changed it meanwhile")
	// ErrReadOnly is a store that cannot be written to.
	ErrReadOnly = errors.New("releases at a URL are written by pldns push --to FOLDER, where the folder is that of the web server")
)

// lookAgain is after how long a channel is read again, whatever a watch says.
const lookAgain = 30 * time.Second

// Options say how a store is reached.
type Options struct {
	// Dial opens connections; nil opens them by the resolver of the system.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// HTTP is what a URL is fetched by, and Token gives what it is shown; nil shows none.
	HTTP  *http.Client
	Token func(context.Context) (string, error)
	// Now is the clock of this machine, which is compared with that of the store; nil is the
	// clock of the system.
	Now func() time.Time
}

// Open makes the store of a configuration. It calls nobody yet.
func Open(settings config.Store, o Options) Store {
	if settings.URL != "" {
		return newWeb(settings, o)
	}
	return newEtcd(settings, o)
}

// Objects are the objects of a store as [release.Open] takes them, until ctx ends.
func Objects(ctx context.Context, from origin) release.Objects { return objectsOf{ctx, from} }

type objectsOf struct {
	ctx  context.Context
	from origin
}

// Stored implements [release.Objects].
func (o objectsOf) Stored(d release.Digest) ([]byte, error) { return o.from.Object(o.ctx, d) }
