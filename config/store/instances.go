package store

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"pldns/config/release"
)

const (
	instancesFolder = "instances"
	// leaseTerm is after how long an instance that is not heard of is forgotten, and
	// reportEvery how often it is heard of.
	leaseTerm   = 45 * time.Second
	reportEvery = 15 * time.Second
	reportAgain = 5 * time.Second // where that failed
)

// Instance is what an instance says of itself.
type Instance struct {
	Name    string         `json:"name"`
	Version string         `json:"version"` // of the program
	Channel string         `json:"channel"`
	Release release.Digest `json:"release"`        // that it serves; empty for none
	Since   time.Time      `json:"since,omitzero"` // when it began to, by its own clock
	Saved   bool           `json:"saved"`          // whether the release is on its disk
	Healthy bool           `json:"healthy"`
	Reason  string         `json:"reason,omitempty"` // why it is not
	// Refused is a release that it cannot serve, and Why says why.
	Refused release.Digest `json:"refused,omitempty"`
	Why     string         `json:"why,omitempty"`
}

// Roster is a store that knows the instances of a fleet.
type Roster interface {
	// Report says what an instance is doing. It is forgotten if it does not do so again
	// within 45 seconds.
	Report(ctx context.Context, i Instance) error
	// Instances are those that are heard of, by name.
	Instances(ctx context.Context) ([]Instance, error)
}

// longestWhy bounds what an instance says about a fault: the first lines tell most.
const longestWhy = 2000

// Report implements [Roster].
func (e *etcdStore) Report(ctx context.Context, i Instance) error {
	i.Reason, i.Why = cutText(i.Reason), cutText(i.Why)
	text, err := json.Marshal(i)
	if err != nil {
		return err
	}
	e.mutex.Lock()
	lease, told := e.lease, e.told
	e.mutex.Unlock()
	err = e.call(ctx, func(ctx context.Context, client *clientv3.Client) error {
		if lease != 0 {
			_, err := client.KeepAliveOnce(ctx, lease)
			if errors.Is(err, rpctypes.ErrLeaseNotFound) {
				lease, told = 0, ""
			} else if err != nil {
				return err
			}
		}
		if lease == 0 {
			granted, err := client.Grant(ctx, int64(leaseTerm/time.Second))
			if err != nil {
				return err
			}
			lease = granted.ID
		}
		if told == string(text) {
			return nil
		}
		_, err := client.Put(ctx, e.key(instancesFolder, i.Name), string(text), clientv3.WithLease(lease))
		return err
	})
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.lease = lease; err == nil {
		e.told = string(text)
	}
	return err
}

func cutText(text string) string {
	if len(text) <= longestWhy {
		return text
	}
	return strings.ToValidUTF8(text[:longestWhy], "") + "..."
}

// Instances implements [Roster].
func (e *etcdStore) Instances(ctx context.Context) (all []Instance, err error) {
	folder := e.key(instancesFolder, "")
	err = e.list(ctx, folder, false, func(kv *mvccpb.KeyValue) error {
		var i Instance
		name := strings.TrimPrefix(string(kv.Key), folder)
		if err := json.Unmarshal(kv.Value, &i); err != nil || i.Name != name {
			i = Instance{Name: plain(name, longestNote), Reason: "what it says of itself cannot be read by this version of the program"}
		}
		if i.Release != "" && !i.Release.Valid() {
			i.Release = ""
		}
		i.Version, i.Channel, i.Reason = plain(i.Version, longestNote), plain(i.Channel, longestNote), plain(i.Reason, longestWhy)
		i.Why = cutText(i.Why)
		all = append(all, i)
		return nil
	})
	return all, err
}
