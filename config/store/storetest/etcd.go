// Package storetest runs real etcd clusters on loopback, for tests.
package storetest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Cluster is an etcd cluster of a test.
type Cluster struct {
	Members []*Member
	secure  *tls.Config // of clients; nil where there is no TLS
	t       testing.TB
}

// Member is one member of a cluster.
type Member struct {
	URL     string // for clients
	name    string
	dir     string // of its log
	args    []string
	process *os.Process
	t       testing.TB
}

// Needs skips a test where a program is not installed, unless PLDNS_PEERS says that it
// must be.
func Needs(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("PLDNS_PEERS") != "" {
			t.Fatalf("%s is not installed, and PLDNS_PEERS wants it", program)
		}
		t.Skipf("%s is not installed", program)
	}
}

// Started starts a member with arguments of its own, which ends with the test.
func Started(t testing.TB, name, url string, args ...string) *Member {
	t.Helper()
	m := &Member{URL: url, name: name, dir: t.TempDir(), args: args, t: t}
	m.Start()
	t.Cleanup(m.Kill)
	return m
}

// Log is what a member wrote.
func (m *Member) Log() string {
	text, _ := os.ReadFile(filepath.Join(m.dir, m.name+".log"))
	return string(text)
}

// Etcd starts a cluster of so many members, which ends with the test. The test is skipped
// where etcd is not installed, unless PLDNS_PEERS says that it must be.
func Etcd(t testing.TB, members int, more ...string) *Cluster {
	t.Helper()
	return etcd(t, "http", members, nil, more...)
}

// etcd starts a cluster whose clients speak a scheme, with what they show.
func etcd(t testing.TB, scheme string, members int, secure *tls.Config, more ...string) *Cluster {
	t.Helper()
	Needs(t, "etcd")
	c := &Cluster{t: t, secure: secure}
	ports := freePorts(t, 2*members)
	var peers []string
	for i := range members {
		peers = append(peers, fmt.Sprintf("m%d=http://127.0.0.1:%d", i, ports[2*i+1]))
	}
	dir := t.TempDir()
	for i := range members {
		name := fmt.Sprintf("m%d", i)
		client, peer := fmt.Sprintf("%s://127.0.0.1:%d", scheme, ports[2*i]), fmt.Sprintf("http://127.0.0.1:%d", ports[2*i+1])
		c.Members = append(c.Members, &Member{URL: client, name: name, dir: dir, t: t, args: append([]string{
			"--name", name, "--data-dir", filepath.Join(dir, name), "--listen-client-urls", client, "--advertise-client-urls", client,
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", strings.Join(peers, ","),
			"--initial-cluster-state", "new", "--log-level", "error", "--heartbeat-interval", "50", "--election-timeout", "500",
			"--unsafe-no-fsync",
		}, more...)})
	}
	for _, m := range c.Members {
		m.Start()
		t.Cleanup(m.Kill)
	}
	c.Ready()
	return c
}

// EtcdTLS starts a cluster of one member that has a certificate, and takes clients with one
// of an authority alone. All three are PEM files.
func EtcdTLS(t testing.TB, authority, certificate, key string) *Cluster {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if text, err := os.ReadFile(authority); err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatalf("%s: %v", authority, err)
	}
	return etcd(t, "https", 1, &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		"--client-cert-auth", "--trusted-ca-file", authority, "--cert-file", certificate, "--key-file", key)
}

// tail is the end of what the members logged.
func (c *Cluster) tail() string {
	var all strings.Builder
	for _, m := range c.Members {
		text := m.Log()
		fmt.Fprintf(&all, "%s:\n%s\n", m.name, text[max(0, len(text)-2000):])
	}
	return all.String()
}

// freePorts are ports that nobody uses now, none of them twice.
func freePorts(t testing.TB, count int) (ports []int) {
	t.Helper()
	for range count {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// Start starts a member that does not run, with what it has on disk.
func (m *Member) Start() {
	m.t.Helper()
	command := exec.Command("etcd", m.args...)
	log, err := os.OpenFile(filepath.Join(m.dir, m.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close()
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = dieWithTest()
	if err := command.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.process = command.Process
}

// Kill ends a member as kill -9 does, if it runs.
func (m *Member) Kill() {
	if m.process == nil {
		return
	}
	_ = m.process.Kill()
	_, _ = m.process.Wait()
	m.process = nil
}

// Signal sends a signal to a member, such as SIGSTOP.
func (m *Member) Signal(signal syscall.Signal) {
	m.t.Helper()
	if err := m.process.Signal(signal); err != nil {
		m.t.Fatal(err)
	}
}

// URLs are those of all members.
func (c *Cluster) URLs() (all []string) {
	for _, m := range c.Members {
		all = append(all, m.URL)
	}
	return all
}

// Client is a client of the cluster, which ends with the test.
func (c *Cluster) Client() *clientv3.Client {
	c.t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: c.URLs(), TLS: c.secure, Logger: zap.NewNop()})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { client.Close() })
	return client
}

// patience is how long a cluster may take to be ready.
const patience = 30 * time.Second

// Ready waits until the cluster takes what is written.
func (c *Cluster) Ready() {
	c.t.Helper()
	client := c.Client()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for {
		within, done := context.WithTimeout(ctx, time.Second)
		_, err := client.Put(within, "/ready", "")
		done()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			c.t.Fatalf("etcd is not ready: %v\n%s", errors.Join(err, ctx.Err()), c.tail())
		}
	}
}

// Leader is the member that leads.
func (c *Cluster) Leader() *Member {
	c.t.Helper()
	client := c.Client()
	for _, m := range c.Members {
		ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
		status, err := client.Status(ctx, m.URL)
		cancel()
		if err == nil && status.Header.MemberId == status.Leader {
			return m
		}
	}
	c.t.Fatal("the cluster has no leader")
	return nil
}
