//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	clientv3 "go.etcd.io/etcd/client/v3"

	"pldns/config/release"
	"pldns/config/store/storetest"
	"pldns/resolver/resolvertest"
)

// put overwrites a key of the fleet.
func put(t *testing.T, cluster *storetest.Cluster, key, value string) {
	t.Helper()
	if _, err := cluster.Client().Put(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
}

// An object that was overwritten with garbage is not served, and put right by a push of
// the same files.
func TestObjectOverwritten(t *testing.T) {
	whenLong(t)
	f, cluster := etcdFleet(t, 1)
	f.push(hub("10.0.1.4", ""))
	r := start(t, f.machine("hub-1", ""))
	r.told(t, "10.0.1.4")
	f.push(hub("10.0.1.5", ""), "--channel", "next")
	r.well(t)
	objects, err := cluster.Client().Get(t.Context(), "/pldns/objects/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects.Kvs {
		if content, err := release.Decode(release.Digest(filepath.Base(string(object.Key))), object.Value); err == nil &&
			strings.Contains(string(content), "10.0.1.5") {
			put(t, cluster, string(object.Key), "garbage")
		}
	}
	if code, _, talk := f.run("promote", "next", "stable"); code != exitNo || !strings.Contains(talk, "not what its digest says") {
		t.Errorf("promote of a damaged release ends with %d: %s", code, talk)
	}
	channel, err := cluster.Client().Get(t.Context(), "/pldns/channels/next")
	if err != nil {
		t.Fatal(err)
	}
	put(t, cluster, "/pldns/channels/stable", string(channel.Kvs[0].Value))
	r.faulty(t, "push the configuration again")
	if got := r.db(); !strings.HasSuffix(got, "A 10.0.1.4") {
		t.Errorf("the answer is %s", got)
	}
	f.push(hub("10.0.1.5", ""))
	r.told(t, "10.0.1.5")
	r.well(t)
	put(t, cluster, "/pldns/channels/stable", "garbage")
	r.faulty(t, "channel stable is not what pldns push writes")
	if got := r.db(); !strings.HasSuffix(got, "A 10.0.1.5") {
		t.Errorf("the answer is %s", got)
	}
}

// An instance whose revisions were compacted while it could not watch is told the truth
// all the same.
func TestCompaction(t *testing.T) {
	whenLong(t)
	f, cluster := etcdFleet(t, 1)
	f.push(hub("10.0.1.4", ""))
	machine := f.machine("hub-1", "")
	r := start(t, machine)
	r.told(t, "10.0.1.4")
	cluster.Members[0].Signal(syscall.SIGSTOP)
	r.faulty(t, "the store cannot be followed")
	cluster.Members[0].Signal(syscall.SIGCONT)
	for i := range 20 {
		f.push(hub(fmt.Sprintf("10.0.2.%d", i+1), ""))
	}
	client := cluster.Client()
	now, err := client.Get(t.Context(), "/pldns/channels/stable")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(t.Context(), now.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	r.told(t, "10.0.2.20")
	f.push(hub("10.0.1.5", ""))
	r.told(t, "10.0.1.5")
	r.well(t)
}

// With the leader killed, or a member that hangs, what is pushed is served all the same,
// and what was served is meanwhile.
func TestMembersThatFail(t *testing.T) {
	whenLong(t)
	f, cluster := etcdFleet(t, 3)
	f.push(hub("10.0.1.4", ""))
	r := start(t, f.machine("hub-1", ""))
	r.told(t, "10.0.1.4")
	leader := cluster.Leader()
	leader.Kill()
	f.pushAtLast(hub("10.0.1.5", ""))
	r.told(t, "10.0.1.5")
	leader.Start()
	cluster.Ready()
	stopped := cluster.Leader()
	stopped.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { stopped.Signal(syscall.SIGCONT) })
	f.pushAtLast(hub("10.0.1.6", ""))
	r.told(t, "10.0.1.6")
}

// pushAtLast pushes, again where the cluster elects a leader meanwhile.
func (f *fleetOf) pushAtLast(toml string) {
	f.t.Helper()
	f.write(toml)
	resolvertest.Until(f.t, "the push works", func() bool { code, _, _ := f.run("push"); return code == exitFine })
}

// With no room for the state, a release is served all the same, and saved when there is.
func TestNoRoomForTheState(t *testing.T) {
	whenLong(t)
	f, _ := etcdFleet(t, 1)
	blocked := filepath.Join(f.states, "hub-1")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.push(hub("10.0.1.4", ""))
	r := start(t, f.machine("hub-1", ""))
	r.told(t, "10.0.1.4")
	r.faulty(t, "the release is not on disk")
	if ready, s := r.fleetStore(t); !ready || s.Saved || r.metric(`pldns_store_saved{channel="stable"}`) != 0 {
		t.Errorf("ready %v, %+v", ready, s)
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	f.push(hub("10.0.1.5", ""))
	r.told(t, "10.0.1.5")
	r.well(t)
	resolvertest.Until(t, "the release is on disk", func() bool { _, s := r.fleetStore(t); return s.Saved })
}

// A user without a right is told which one it lacks, and an instance whose right was taken
// away goes on.
func TestRoles(t *testing.T) {
	whenLong(t)
	f, cluster := etcdFleet(t, 1)
	client := cluster.Client()
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(client.UserAdd(ctx, "root", "root"))
	must(client.UserGrantRole(ctx, "root", "root"))
	whole := clientv3.GetPrefixRangeEnd("/pldns/")
	for name, write := range map[string]string{"pusher": "/pldns/", "instance": "/pldns/instances/"} {
		must(client.UserAdd(ctx, name, name))
		must(client.RoleAdd(ctx, name))
		must(client.RoleGrantPermission(ctx, name, "/pldns/", whole, clientv3.PermissionType(clientv3.PermRead)))
		must(client.RoleGrantPermission(ctx, name, write, clientv3.GetPrefixRangeEnd(write), clientv3.PermissionType(clientv3.PermReadWrite)))
		must(client.UserGrantRole(ctx, name, name))
		if err := os.WriteFile(filepath.Join(f.states, name+".password"), []byte(name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must(client.AuthEnable(ctx))
	root, err := clientv3.New(clientv3.Config{Endpoints: cluster.URLs(), Username: "root", Password: "root"})
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	open := f.store
	as := func(user string) {
		f.store = open + fmt.Sprintf("user = %q\npassword_file = %q\n", user, filepath.Join(f.states, user+".password"))
	}
	as("pusher")
	f.push(hub("10.0.1.4", ""))
	as("instance")
	machine := f.machine("hub-1", "")
	f.write(hub("10.0.1.5", ""))
	if code, _, talk := f.run("push"); code != exitNo || !strings.Contains(talk, "give its user a role with read on /pldns/, and with write") {
		t.Errorf("a push without the right ends with %d: %s", code, talk)
	}
	r := start(t, machine)
	r.told(t, "10.0.1.4")
	r.well(t)
	must(root.RoleRevokePermission(ctx, "instance", "/pldns/", whole))
	r.faulty(t, "give its user a role with read on /pldns/")
	if got := r.db(); !strings.HasSuffix(got, "A 10.0.1.4") {
		t.Errorf("the answer is %s", got)
	}
	must(root.RoleGrantPermission(ctx, "instance", "/pldns/", whole, clientv3.PermissionType(clientv3.PermRead)))
	as("pusher")
	f.push(hub("10.0.1.5", ""))
	r.told(t, "10.0.1.5")
	r.well(t)
}

// A release of 100,000 endpoints is pushed and served like any other.
func TestLargeRelease(t *testing.T) {
	whenLong(t)
	const endpoints = 100_000
	f, _ := etcdFleet(t, 1)
	var hosts strings.Builder
	for i := range endpoints {
		fmt.Fprintf(&hosts, "10.%d.%d.%d db%d.database.windows.net\n", i>>16+1, i>>8&255, i&255, i)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(f.file), "large.hosts"), []byte(hosts.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	f.push(hub("10.0.1.4", ""))
	r := start(t, f.machine("hub-1", ""))
	r.told(t, "10.0.1.4")
	began := time.Now()
	f.push("[networks.hub]\nclients = [\"127.0.1.0/24\"]\nhosts = [\"large.hosts\"]\n")
	resolvertest.Until(t, "the last of the names is served", func() bool {
		return strings.HasSuffix(says(r.ask("udp", europe, fmt.Sprintf("db%d.database.windows.net", endpoints-1), dns.TypeA)), "A 10.2.134.159")
	})
	t.Logf("%d endpoints are pushed and served after %s", endpoints, time.Since(began).Round(time.Millisecond))
}
