package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"pldns/config"
	"pldns/config/release"
)

const (
	// callPatience bounds one call, of which there are callTries: the next one goes to
	// another member.
	callPatience = 4 * time.Second
	callTries    = 3
	// A member that does not answer a ping for pingPatience is left. etcd takes no pings
	// that come more often than every 5 s.
	pingEvery    = 10 * time.Second
	pingPatience = 4 * time.Second
	// pageKeys is how many keys are listed at once, and batchKeys how many are removed:
	// etcd takes 128 operations in a transaction.
	pageKeys  = 1000
	batchKeys = 100
	// largestAnswer bounds what one call gives.
	largestAnswer = 16 << 20
)

// etcdStore is a store in an etcd cluster.
type etcdStore struct {
	settings config.Store
	options  Options
	*clocks

	mutex  sync.Mutex
	client *clientv3.Client // nil until it is needed
	lease  clientv3.LeaseID // of the instance that is reported
	told   string           // what was reported under it
}

func newEtcd(settings config.Store, o Options) *etcdStore {
	return &etcdStore{settings: settings, options: o, clocks: newClocks(o.Now)}
}

// open makes the client at the first call: with a user, that is a call itself.
func (e *etcdStore) open() (*clientv3.Client, error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.client != nil {
		return e.client, nil
	}
	s := e.settings
	c := clientv3.Config{
		Endpoints: s.Etcd, Username: s.User, Password: s.Password, DialTimeout: callPatience,
		DialKeepAliveTime: pingEvery, DialKeepAliveTimeout: pingPatience, MaxCallRecvMsgSize: largestAnswer, Logger: zap.NewNop(),
	}
	if slices.ContainsFunc(s.Etcd, func(member string) bool { return strings.HasPrefix(member, "https:") }) {
		c.TLS = e.secure()
	}
	if dial := e.options.Dial; dial != nil {
		c.DialOptions = append(c.DialOptions, grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dial(ctx, "tcp", address)
		}))
	}
	client, err := clientv3.New(c)
	if err != nil {
		return nil, err
	}
	e.client = client
	return client, nil
}

// call does something with the cluster, again and with another member where one does not
// answer. What it does may then have been done twice.
func (e *etcdStore) call(ctx context.Context, do func(context.Context, *clientv3.Client) error) error {
	var err error
	for range callTries {
		var client *clientv3.Client
		if client, err = e.open(); err == nil {
			within, cancel := context.WithTimeout(ctx, callPatience)
			err = do(within, client)
			cancel()
		}
		if err == nil || ctx.Err() != nil || !isAway(err) {
			break
		}
	}
	return e.fault(err)
}

// isAway tells whether another member may do what one did not.
func isAway(err error) bool {
	code := status.Code(err)
	return errors.Is(err, context.DeadlineExceeded) || code == codes.Unavailable || code == codes.DeadlineExceeded
}

// fault says what an error of etcd is about, and what to do.
func (e *etcdStore) fault(err error) error {
	where := e.settings.Where()
	switch known := rpctypes.Error(err); {
	case err == nil:
		return nil
	case errors.Is(known, rpctypes.ErrPermissionDenied):
		return fmt.Errorf("%s: %w: give its user a role with read on %s, and with write where something is pushed or reported",
			where, errRefused, e.settings.Prefix)
	case errors.Is(known, rpctypes.ErrAuthFailed), errors.Is(known, rpctypes.ErrUserEmpty), errors.Is(known, rpctypes.ErrAuthNotEnabled):
		return fmt.Errorf("%s: %w: correct user and password_file, or the certificate (%s)", where, errRefused, known)
	case errors.Is(known, rpctypes.ErrNoSpace):
		return fmt.Errorf("%s: %w: compact and defragment its members, and disarm the alarm (deploy/fleet/etcd.md, When it is full)",
			where, errFull)
	case strings.Contains(err.Error(), "certificate has expired or is not yet valid"):
		return fmt.Errorf("%s shows a certificate that is not valid now: renew it, or set the clock of this machine (%w)", where, err)
	case errors.Is(known, rpctypes.ErrNoLeader):
		return fmt.Errorf("%s has no leader: start its other members (%w)", where, known)
	case errors.Is(err, context.DeadlineExceeded) || status.Code(err) == codes.DeadlineExceeded:
		return fmt.Errorf("%s does not answer: start it, or let this machine reach it (%w)", where, err)
	case errors.Is(err, ErrAbsent), errors.Is(err, ErrChanged), errors.Is(err, errNotLeading), errors.Is(err, errRefused),
		errors.Is(err, context.Canceled):
		return err
	default:
		return fmt.Errorf("%s: %w", where, err)
	}
}

var (
	// errFull is a cluster that takes nothing more.
	errFull = errors.New("etcd is full")
	// errCut is a watch that a member ended: its leader is gone, or what it was to begin
	// with is compacted.
	errCut = errors.New("a watch was cut off, and the channel is read again")
)

func (e *etcdStore) key(parts ...string) string { return e.settings.Prefix + strings.Join(parts, "/") }

// sweptKey is put with each removal of objects.
func (e *etcdStore) sweptKey() string { return e.key("swept") }

// Object implements [Store].
func (e *etcdStore) Object(ctx context.Context, d release.Digest) (stored []byte, err error) {
	return e.object(ctx, e.key(objectsFolder, string(d)), d)
}

func (e *etcdStore) object(ctx context.Context, key string, d release.Digest) (stored []byte, err error) {
	err = e.call(ctx, func(ctx context.Context, client *clientv3.Client) error {
		found, err := client.Get(ctx, key)
		if err != nil {
			return err
		}
		if len(found.Kvs) == 0 {
			return fmt.Errorf("object %s: %w", d.Short(), ErrAbsent)
		}
		stored = found.Kvs[0].Value
		return nil
	})
	return stored, err
}

// PutObject implements [Store]. One that is damaged is put anew.
func (e *etcdStore) PutObject(ctx context.Context, d release.Digest, stored []byte) error {
	switch there, err := e.Object(ctx, d); {
	case err == nil:
		if _, err = release.Decode(d, there); err == nil {
			return nil
		}
	case !errors.Is(err, ErrAbsent):
		return err
	}
	return e.call(ctx, func(ctx context.Context, client *clientv3.Client) error {
		_, err := client.Put(ctx, e.key(objectsFolder, string(d)), string(stored))
		return err
	})
}

// Channel implements [Store].
func (e *etcdStore) Channel(ctx context.Context, name string) (c Channel, v Version, err error) {
	err = e.call(ctx, func(ctx context.Context, client *clientv3.Client) error {
		found, err := client.Txn(ctx).Then(
			clientv3.OpGet(e.key(channelsFolder, name)), clientv3.OpGet(e.sweptKey(), clientv3.WithKeysOnly())).Commit()
		if err != nil {
			return err
		}
		channel, swept := found.Responses[0].GetResponseRange(), found.Responses[1].GetResponseRange()
		v = Version{read: found.Header.Revision}
		if len(swept.Kvs) > 0 {
			v.swept = swept.Kvs[0].ModRevision
		}
		if len(channel.Kvs) == 0 {
			return fmt.Errorf("channel %s: %w", name, ErrAbsent)
		}
		v.put = channel.Kvs[0].ModRevision
		c, err = parseChannel(name, channel.Kvs[0].Value)
		return err
	})
	return c, v, err
}

// SwapChannel implements [Store]. It is ErrChanged, too, where objects were removed since
// the channel was read: the caller looks whether his are there, and tries again.
func (e *etcdStore) SwapChannel(ctx context.Context, name string, was Version, next Channel) error {
	text, err := next.encode()
	if err != nil {
		return err
	}
	key := e.key(channelsFolder, name)
	return e.call(ctx, func(ctx context.Context, client *clientv3.Client) error {
		done, err := client.Txn(ctx).If(
			clientv3.Compare(clientv3.ModRevision(key), "=", was.put),
			clientv3.Compare(clientv3.ModRevision(e.sweptKey()), "=", was.swept),
		).Then(clientv3.OpPut(key, string(text))).Else(clientv3.OpGet(key)).Commit()
		if err != nil || done.Succeeded {
			return err
		}
		// An earlier try may have been done, and its answer lost.
		if now := done.Responses[0].GetResponseRange().Kvs; len(now) > 0 && string(now[0].Value) == string(text) {
			return nil
		}
		return ErrChanged
	})
}

// AwaitChannel implements [Store].
func (e *etcdStore) AwaitChannel(ctx context.Context, name string, seen Version) error {
	return e.await(ctx, e.key(channelsFolder, name), seen.read)
}

// await waits until a key may be something else than it was at a revision.
func (e *etcdStore) await(ctx context.Context, key string, seen int64) error {
	client, err := e.open()
	if err != nil {
		return e.fault(err)
	}
	within, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), lookAgain)
	defer cancel()
	for r := range client.Watch(within, key, clientv3.WithRev(seen+1)) {
		switch err := r.Err(); {
		case err != nil && within.Err() == nil:
			return fmt.Errorf("%w: %w", errCut, e.fault(err)) // whatever happened, the channel says it
		case len(r.Events) > 0:
			return nil
		}
	}
	return ctx.Err()
}

// Sweep implements [Store]. Each removal holds only while no channel has changed, and is
// seen by every push that looked before it.
func (e *etcdStore) Sweep(ctx context.Context, used func([]Channel) (map[release.Digest]bool, error)) (gone int, err error) {
	channels, unchanged, err := e.channels(ctx)
	if err != nil {
		return 0, err
	}
	keep, err := used(channels)
	if err != nil {
		return 0, err
	}
	var batch []string
	folder := e.key(objectsFolder, "")
	err = e.list(ctx, folder, true, func(kv *mvccpb.KeyValue) error {
		if keep[release.Digest(strings.TrimPrefix(string(kv.Key), folder))] {
			return nil
		}
		if batch = append(batch, string(kv.Key)); len(batch) < batchKeys {
			return nil
		}
		gone, err = gone+len(batch), e.remove(ctx, unchanged, batch)
		batch = nil
		return err
	})
	if err == nil && len(batch) > 0 {
		gone, err = gone+len(batch), e.remove(ctx, unchanged, batch)
	}
	return gone, err
}

// channels are all channels, and the conditions under which they are what they were.
func (e *etcdStore) channels(ctx context.Context) (all []Channel, unchanged []clientv3.Cmp, err error) {
	folder := e.key(channelsFolder, "")
	var revision int64
	err = e.list(ctx, folder, false, func(kv *mvccpb.KeyValue) error {
		c, err := parseChannel(strings.TrimPrefix(string(kv.Key), folder), kv.Value)
		if err != nil {
			return err // what it needs is not known
		}
		all = append(all, c)
		revision = max(revision, kv.ModRevision)
		return nil
	})
	none := clientv3.Compare(clientv3.ModRevision(folder), "<", revision+1).WithPrefix()
	return all, []clientv3.Cmp{none}, err
}

// remove removes objects, unless a channel has changed.
func (e *etcdStore) remove(ctx context.Context, unchanged []clientv3.Cmp, keys []string) error {
	ops := []clientv3.Op{clientv3.OpPut(e.sweptKey(), "")}
	for _, key := range keys {
		ops = append(ops, clientv3.OpDelete(key))
	}
	return e.call(ctx, func(ctx context.Context, client *clientv3.Client) error {
		done, err := client.Txn(ctx).If(unchanged...).Then(ops...).Commit()
		if err == nil && !done.Succeeded {
			err = ErrChanged
		}
		return err
	})
}

// list gives all keys with a prefix, page by page.
func (e *etcdStore) list(ctx context.Context, prefix string, keysOnly bool, each func(*mvccpb.KeyValue) error) error {
	for from := prefix; ; {
		var page *clientv3.GetResponse
		err := e.call(ctx, func(ctx context.Context, client *clientv3.Client) (err error) {
			options := []clientv3.OpOption{clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix)), clientv3.WithLimit(pageKeys)}
			if keysOnly {
				options = append(options, clientv3.WithKeysOnly())
			}
			page, err = client.Get(ctx, from, options...)
			return err
		})
		if err != nil {
			return err
		}
		for _, kv := range page.Kvs {
			if err := each(kv); err != nil {
				return err
			}
		}
		if !page.More || len(page.Kvs) == 0 {
			return nil
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
}

// Close implements [Store].
func (e *etcdStore) Close() error {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.client == nil {
		return nil
	}
	err := e.client.Close()
	e.client = nil
	return err
}
