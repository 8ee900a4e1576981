package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/config/store/storetest"
	"pldns/resolver/resolvertest"
)

// loaded is a steady load on an instance, in which every answer is an address of 10.0.1.0/24.
func (r *running) loaded(t *testing.T, rate int) *flow {
	t.Helper()
	query := new(dns.Msg).SetQuestion("db.database.windows.net.", dns.TypeA)
	return startFlow(t, europe, r.addrs[0], rate, query, func() int64 { return 0 }, func(reply *dns.Msg, _ int64) string {
		if len(reply.Answer) == 2 && strings.Contains(reply.Answer[1].String(), "10.0.1.") {
			return ""
		}
		return reply.String()
	})
}

// With every member of the cluster killed under load, no answer is lost, and what is
// pushed when they are back is served.
func TestAllMembersKilledUnderLoad(t *testing.T) {
	whenLong(t)
	f, cluster := etcdFleet(t, 3)
	f.push(hub("10.0.1.4", ""))
	r := start(t, f.machine("hub-1", ""))
	r.told(t, "10.0.1.4")
	r.well(t)
	flow := r.loaded(t, 2000)
	for _, m := range cluster.Members {
		m.Kill()
	}
	r.faulty(t, "the store cannot be followed")
	for _, m := range cluster.Members {
		m.Start()
	}
	cluster.Ready()
	f.pushAtLast(hub("10.0.1.5", ""))
	r.told(t, "10.0.1.5")
	r.well(t)
	if asked, lost := flow.finish(); lost > 0 || asked == 0 {
		t.Errorf("%d of %d queries were lost", lost, asked)
	}
}

// A member that is dead, or takes connections and says nothing, does not keep an instance
// from starting, wherever it stands in the list.
func TestDeadFirstEndpoint(t *testing.T) {
	whenLong(t)
	f, _ := etcdFleet(t, 1)
	f.push(hub("10.0.1.4", ""))
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	for name, dead := range map[string]string{"refuses": "http://127.0.0.1:1", "is-silent": "http://" + mute.Addr().String()} {
		before := f.store
		f.store = strings.Replace(f.store, "etcd = [", fmt.Sprintf("etcd = [%q, ", dead), 1)
		began := time.Now()
		r := start(t, f.machine(name, ""))
		r.told(t, "10.0.1.4")
		t.Logf("with a first member that %s, the release is served after %s", name, time.Since(began).Round(time.Millisecond))
		f.store = before
	}
}

// authority signs certificates of a test, whose files are in a folder.
type authority struct {
	t           *testing.T
	dir         string
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	serial      int64
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.sign(name, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// sign makes NAME.crt and NAME.key; the first is that of the authority itself.
func (a *authority) sign(name string, template *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.serial++
	template.SerialNumber = big.NewInt(a.serial)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
	parent, by := a.certificate, a.key
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	if a.certificate == nil {
		a.key = key
		if a.certificate, err = x509.ParseCertificate(der); err != nil {
			a.t.Fatal(err)
		}
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		name + ".crt": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(a.path(file), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
}

func (a *authority) leaf(name string) {
	a.sign(name, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
}

// A cluster that asks for client certificates is followed with one, and an instance that
// shows none, or does not know the cluster's authority, says so.
func TestStoreWithClientCertificates(t *testing.T) {
	whenLong(t)
	t.Parallel()
	a := newAuthority(t, "authority")
	a.leaf("etcd")
	a.leaf("hub-1")
	cluster := storetest.EtcdTLS(t, a.path("authority.crt"), a.path("etcd.crt"), a.path("etcd.key"))
	f := newFleetOf(t, fmt.Sprintf("etcd = [%q]", cluster.Members[0].URL))
	open := f.store
	f.store = open + fmt.Sprintf("ca = %q\ncert = %q\nkey = %q\n", a.path("authority.crt"), a.path("hub-1.crt"), a.path("hub-1.key"))
	f.push(hub("10.0.1.4", ""))
	r := start(t, f.machine("hub-1", ""))
	r.told(t, "10.0.1.4")
	r.well(t)
	f.store = open + fmt.Sprintf("ca = %q\n", a.path("authority.crt"))
	bare := start(t, f.machine("without-certificate", ""))
	f.store = open
	stranger := start(t, f.machine("without-authority", ""))
	bare.faulty(t, "the store cannot be followed")
	stranger.faulty(t, "the store cannot be followed")
}

// ownMounts is set in a test whose mounts nobody else sees.
const ownMounts = "PLDNS_TEST_MOUNTS"

// inOwnMounts runs a test again, in a mount namespace of its own.
func inOwnMounts(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("to fill a disk takes root: TestNoRoomForTheState tries a state that cannot be written")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.timeout=2m")
	command.Env = append(os.Environ(), ownMounts+"=1")
	command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// With the disk of the state full, a release is served all the same, and nothing of the one
// that is on disk is lost.
func TestFullDisk(t *testing.T) {
	whenLong(t)
	if os.Getenv(ownMounts) == "" {
		inOwnMounts(t)
		return
	}
	f, _ := etcdFleet(t, 1)
	if err := syscall.Mount("tmpfs", f.states, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(f.states, syscall.MNT_DETACH) })
	f.push(hub("10.0.1.4", ""))
	machine := f.machine("hub-1", "")
	r := start(t, machine)
	r.told(t, "10.0.1.4")
	resolvertest.Until(t, "the release is on disk", func() bool { _, s := r.fleetStore(t); return s.Saved })
	fill := filepath.Join(f.states, "fill")
	for size := 64 << 10; size > 0; size /= 2 {
		file, err := os.OpenFile(fill, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			break
		}
		_, _ = file.Write(make([]byte, size)) // until there is no room
		_ = file.Close()
	}
	f.push(hub("10.0.1.5", ""))
	r.told(t, "10.0.1.5")
	r.faulty(t, "no space left on device")
	r.end()
	again := start(t, machine)
	if got := again.db(); !strings.HasPrefix(got, "NOERROR") {
		t.Errorf("after a restart with the disk full: %s", got)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	f.push(hub("10.0.1.6", ""))
	again.told(t, "10.0.1.6")
	resolvertest.Until(t, "the release is on disk", func() bool { _, s := again.fleetStore(t); return s.Saved })
}
