package store

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"golang.org/x/sync/errgroup"

	"pldns/config"
	"pldns/config/release"
)

const (
	// leadTerm is after how long a leader that is not heard of is followed by another one.
	leadTerm = 9 * time.Second
	// resignPatience is how long a leader that ends may take to say so.
	resignPatience = time.Second
)

// Adopt takes what is published: the content, nil where it is what was adopted last, when
// it was true, and by which instance it was published. The error says why it is not for
// this instance. What is nil at the first call does not come.
type Adopt = func(ctx context.Context, content []byte, at time.Time, by string) error

// Publish puts a content in the place of what is published, which then all adopt. The error
// is that of the store, or says that another instance leads.
type Publish = func(ctx context.Context, content []byte, at time.Time) error

// Shared is something of which all instances of a fleet follow what one of them, which they
// elect, publishes.
type Shared struct {
	// Settings are those of a store in etcd, and Name is what it is published under.
	Settings config.Store
	Name     string
	Options  Options
	Log      *slog.Logger

	turn    sync.Mutex // of adopting and publishing
	adopted release.Digest
	fetched memory
	again   chan struct{} // has another look taken
}

// Run follows what is published and, where lead is not nil, stands for election. Lead is
// called while this instance leads, until its ctx ends, after what was published before was
// adopted. Failed is told why the store cannot be followed, or this instance not be elected;
// nil once it can. Run ends with ctx, and its error is always nil.
func (s *Shared) Run(ctx context.Context, adopt Adopt, lead func(context.Context, Publish), failed func(error)) error {
	store := newEtcd(s.Settings, s.Options)
	defer store.Close()
	s.again = make(chan struct{}, 1)
	var faults sharedFaults
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return s.retrying(ctx, func() error { return s.follow(ctx, store, adopt, func() { failed(faults.following(nil)) }) },
			func(err error) { failed(faults.following(err)) })
	})
	if lead != nil {
		group.Go(func() error {
			return s.retrying(ctx, func() error { return s.stand(ctx, store, adopt, lead, func() { failed(faults.standing(nil)) }) },
				func(err error) { failed(faults.standing(err)) })
		})
	}
	return group.Wait()
}

// sharedFaults are why it cannot be followed, and why this instance cannot be elected.
type sharedFaults struct {
	mutex         sync.Mutex
	follow, stand error
}

func (f *sharedFaults) following(err error) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.follow = err
	return errors.Join(f.follow, f.stand)
}

func (f *sharedFaults) standing(err error) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.stand = err
	return errors.Join(f.follow, f.stand)
}

// retrying does something again and again until ctx ends, later each time that it fails.
func (s *Shared) retrying(ctx context.Context, do func() error, failed func(error)) error {
	retry := retryFirst
	for ctx.Err() == nil {
		err := do()
		if ctx.Err() != nil {
			break
		}
		if err == nil {
			retry = retryFirst
			continue
		}
		failed(err)
		_ = pause(ctx, retry/2+rand.N(retry/2+1))
		retry = min(2*retry, retryLast)
	}
	return nil
}

// follow adopts what is published, and waits until that may have changed.
func (s *Shared) follow(ctx context.Context, store *etcdStore, adopt Adopt, well func()) error {
	revision, err := s.look(ctx, store, adopt)
	if err != nil && !errors.Is(err, ErrAbsent) {
		return err
	}
	well()
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-s.again:
			cancel()
		case <-within.Done():
		}
	}()
	err = store.await(within, store.listingKey(s.Name, publicationKey), revision)
	cancelled := within.Err() != nil
	cancel()
	<-done
	if cancelled {
		return nil
	}
	return err
}

// look adopts what is published.
func (s *Shared) look(ctx context.Context, store *etcdStore, adopt Adopt) (revision int64, err error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	p, revision, err := store.published(ctx, s.Name)
	if err != nil {
		return revision, err
	}
	var content []byte
	if p.Digest != s.adopted {
		if content, err = store.fetchPublished(ctx, s.Name, p.Digest, &s.fetched); err != nil {
			return revision, err
		}
	}
	if err = adopt(ctx, content, p.At, p.By); err == nil {
		s.adopted = p.Digest
	}
	return revision, err
}

// forget has the next look adopt what is published, whatever was adopted before.
func (s *Shared) forget() {
	s.turn.Lock()
	s.adopted = ""
	s.turn.Unlock()
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// stand stands for election once, and leads until that is over.
func (s *Shared) stand(ctx context.Context, store *etcdStore, adopt Adopt, lead func(context.Context, Publish), well func()) error {
	session, err := store.session(ctx)
	if err != nil {
		return store.fault(err)
	}
	defer store.leave(ctx, session)
	well()
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	defer context.AfterFunc(session.Ctx(), cancel)()
	election := concurrency.NewElection(session, store.listingKey(s.Name, electionFolder))
	if err := election.Campaign(ctx, s.Settings.Name); err != nil {
		return store.fault(err)
	}
	// What is damaged is put right by what is published next.
	if _, err := s.look(ctx, store, adopt); err != nil && !errors.Is(err, ErrAbsent) && !errors.Is(err, release.ErrDamaged) {
		return err
	}
	s.Log.Info("this instance was elected, and lists for the fleet", "source", s.Name)
	defer s.Log.Info("this instance does not list for the fleet any more", "source", s.Name)
	defer s.forget()
	leading := clientv3.Compare(clientv3.CreateRevision(election.Key()), "=", election.Rev())
	lead(ctx, func(ctx context.Context, content []byte, at time.Time) error {
		s.turn.Lock()
		defer s.turn.Unlock()
		d, err := store.publish(ctx, s.Name, leading, publication{At: at, By: s.Settings.Name}, content)
		if err == nil {
			s.adopted = d
		}
		if errors.Is(err, errNotLeading) {
			cancel()
		}
		return err
	})
	return nil
}

// session begins a lease that is kept alive.
func (e *etcdStore) session(ctx context.Context) (session *concurrency.Session, err error) {
	err = e.call(ctx, func(ctx context.Context, client *clientv3.Client) error {
		granted, err := client.Grant(ctx, int64(leadTerm/time.Second))
		if err != nil {
			return err
		}
		session, err = concurrency.NewSession(client, concurrency.WithLease(granted.ID))
		return err
	})
	return session, err
}

// leave ends a lease, so that another instance is elected at once.
func (e *etcdStore) leave(ctx context.Context, session *concurrency.Session) {
	session.Orphan()
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), resignPatience)
	defer cancel()
	_, _ = session.Client().Revoke(within, session.Lease()) // or it ends by itself
}
