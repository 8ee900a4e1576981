package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"pldns/config/release"
)

// What is published under a name is below listings/NAME: its content in objects that are
// named by their digests, as those of a release, and one small key that says which of them
// count. Whoever may publish need not be able to push.
const (
	listingsFolder    = "listings"
	publicationKey    = "current"
	electionFolder    = "election"
	publicationFormat = 1
	publishedFile     = "listing"
)

// publication is what the small key says.
type publication struct {
	Format int            `json:"pldns_listing"`
	Digest release.Digest `json:"listing"`
	// Before was published before it. Its objects stay, for those who are fetching them.
	Before release.Digest `json:"before,omitempty"`
	At     time.Time      `json:"at"` // when the content was true, by the clock of By
	By     string         `json:"by"` // the instance
}

func parsePublication(text []byte) (publication, error) {
	var p publication
	if err := json.Unmarshal(text, &p); err != nil || p.Format != publicationFormat || !p.Digest.Valid() ||
		p.Before != "" && !p.Before.Valid() {
		return publication{}, fmt.Errorf("what is published is not what this version of the program publishes: %w", release.ErrDamaged)
	}
	p.By, p.At = plain(p.By, longestNote), p.At.UTC()
	return p, nil
}

func (e *etcdStore) listingKey(name string, parts ...string) string {
	return e.key(append([]string{listingsFolder, name}, parts...)...)
}

// published reads what is published under a name, and at which revision. The error is
// [ErrAbsent] where nothing is.
func (e *etcdStore) published(ctx context.Context, name string) (p publication, revision int64, err error) {
	err = e.call(ctx, func(ctx context.Context, client *clientv3.Client) error {
		found, err := client.Get(ctx, e.listingKey(name, publicationKey))
		if err != nil {
			return err
		}
		if revision = found.Header.Revision; len(found.Kvs) == 0 {
			return ErrAbsent
		}
		p, err = parsePublication(found.Kvs[0].Value)
		return err
	})
	return p, revision, err
}

// listingObjects are the objects of what is published under a name.
type listingObjects struct {
	*etcdStore
	name string
}

// Object gives one of them, as [Store] does.
func (l listingObjects) Object(ctx context.Context, d release.Digest) ([]byte, error) {
	return l.object(ctx, l.listingKey(l.name, objectsFolder, string(d)), d)
}

// fetchPublished brings what is published into a heap, and gives its content.
func (e *etcdStore) fetchPublished(ctx context.Context, name string, d release.Digest, into *memory) ([]byte, error) {
	r, err := fetch(ctx, listingObjects{e, name}, d, into)
	if err != nil {
		return nil, err
	}
	into.retain(objectsOfRelease(r))
	return r.ReadFile(publishedFile)
}

// publish puts a content in the place of what is published, while the leader's key is
// there. The error is errNotLeading where it is not.
func (e *etcdStore) publish(ctx context.Context, name string, lead clientv3.Cmp, next publication, content []byte) (release.Digest, error) {
	before, _, err := e.published(ctx, name)
	if err != nil && !errors.Is(err, ErrAbsent) && !errors.Is(err, release.ErrDamaged) {
		return "", err
	}
	keep, objects := make(map[release.Digest]bool), make(map[release.Digest][]byte)
	next.Digest, err = release.Pack(publishedFile, map[string][]byte{publishedFile: content}, func(d release.Digest, content []byte) error {
		keep[d], objects[d] = true, content
		return nil
	})
	if err != nil {
		return "", err
	}
	if next.Before = before.Before; before.Digest != next.Digest {
		next.Before = before.Digest
		if err := e.putMissing(ctx, name, lead, objects); err != nil {
			return "", err
		}
	}
	next.Format, next.At = publicationFormat, next.At.UTC()
	text, err := json.Marshal(next)
	if err == nil {
		err = e.whileLeading(ctx, lead, clientv3.OpPut(e.listingKey(name, publicationKey), string(text)))
	}
	if err == nil && before.Digest != next.Digest {
		err = e.tidy(ctx, name, lead, keep, next.Before)
	}
	return next.Digest, err
}

// putMissing puts objects that are not there, and those that are damaged. Its manifest is
// among them, and means nothing before it is named.
func (e *etcdStore) putMissing(ctx context.Context, name string, lead clientv3.Cmp, objects map[release.Digest][]byte) error {
	for d, content := range objects {
		stored := release.Encode(content)
		there, err := listingObjects{e, name}.Object(ctx, d)
		if err == nil && bytes.Equal(there, stored) {
			continue
		}
		if err != nil && !errors.Is(err, ErrAbsent) {
			return err
		}
		if err := e.whileLeading(ctx, lead, clientv3.OpPut(e.listingKey(name, objectsFolder, string(d)), string(stored))); err != nil {
			return err
		}
	}
	return nil
}

// tidy removes the objects that are neither kept nor of the publication before.
func (e *etcdStore) tidy(ctx context.Context, name string, lead clientv3.Cmp, keep map[release.Digest]bool, before release.Digest) error {
	if before != "" {
		r, err := release.Open(before, Objects(ctx, listingObjects{e, name}))
		if err == nil {
			for d := range objectsOfRelease(r) {
				keep[d] = true
			}
		}
	}
	folder := e.listingKey(name, objectsFolder, "")
	var ops []clientv3.Op
	err := e.list(ctx, folder, true, func(kv *mvccpb.KeyValue) error {
		if d := release.Digest(strings.TrimPrefix(string(kv.Key), folder)); !keep[d] {
			ops = append(ops, clientv3.OpDelete(string(kv.Key)))
		}
		return nil
	})
	for len(ops) > 0 && err == nil {
		batch := ops[:min(len(ops), batchKeys)]
		ops = ops[len(batch):]
		err = e.whileLeading(ctx, lead, batch...)
	}
	return err
}

// errNotLeading is a leader that another one has followed.
var errNotLeading = errors.New("another instance leads now")

// whileLeading writes, unless another instance leads.
func (e *etcdStore) whileLeading(ctx context.Context, lead clientv3.Cmp, ops ...clientv3.Op) error {
	return e.call(ctx, func(ctx context.Context, client *clientv3.Client) error {
		done, err := client.Txn(ctx).If(lead).Then(ops...).Commit()
		if err == nil && !done.Succeeded {
			err = errNotLeading
		}
		return err
	})
}

// objectsOfRelease are all objects of a release, its manifest among them.
func objectsOfRelease(r *release.Release) map[release.Digest]bool {
	all := map[release.Digest]bool{r.ID: true}
	for _, d := range r.Manifest.Objects() {
		all[d] = true
	}
	return all
}
