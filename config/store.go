package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"pldns/zones/azure"
)

// Store is where the configuration that several instances share is: the table [store].
// Either Etcd or URL is set.
type Store struct {
	Etcd   []string // the URLs of the members of an etcd cluster
	Prefix string   // of all keys, with a slash at its end
	// User and Password are those of an etcd user; empty for none.
	User, Password, PasswordFile string

	URL   string        // of a folder on a web server or in a blob container, with a slash at its end
	Every time.Duration // from one look at URL to the next
	// Identity is whose token is sent to URL, by ClientID and Tenant where they are
	// given; empty for no token.
	Identity         Identity
	ClientID, Tenant string

	Channel string // names the release that is served
	State   string // the folder of the last good release
	Name    string // of this instance, among all others

	CA   string // the file that Roots is from; empty for none
	Cert string // the file that Certificate is from; empty for none
	Key  string // the same for its key
	// Roots sign the certificates of the store; nil stands for those of the system.
	Roots *x509.CertPool
	// Certificate is shown to the store; nil for none.
	Certificate *tls.Certificate
}

// Elects tells whether the instances of the fleet can elect one that lists Azure for all.
func (s *Store) Elects() bool { return s != nil && len(s.Etcd) > 0 }

// Files are the files that were read.
func (s *Store) Files() []string {
	if s == nil {
		return nil
	}
	return slices.DeleteFunc([]string{s.CA, s.Cert, s.Key, s.PasswordFile}, func(file string) bool { return file == "" })
}

const (
	defaultPrefix     = "/pldns/"
	defaultChannel    = "stable"
	defaultStoreEvery = 10 * time.Second
	exampleState      = "/var/lib/pldns/store"
	exampleEtcd       = "https://10.0.0.7:2379"
	exampleURL        = "https://contoso.blob.core.windows.net/pldns/"
)

var instanceName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)

// LoadStore reads the table [store] of a file, whatever else is in it. The error is
// [Problems], or says why the file cannot be read, or that it has none.
func LoadStore(path string) (*Store, error) {
	data, err := readMain(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w: name a file that can be read", err)
	}
	l := newLoader(path, diskFiles{filepath.Dir(path)}, azure.New(), time.Now())
	if root, ok := l.rep.open(path, data); ok {
		l.store(root, l.files)
	}
	if faults := l.report().Faults; len(faults) > 0 {
		return nil, faults
	}
	if l.config.Store == nil {
		return nil, fmt.Errorf("%s has no [store]: add it, or name a folder", path)
	}
	return l.config.Store, nil
}

// store reads the table [store].
func (l *loader) store(root table, files files) {
	t, given := root.sub("store")
	if !given {
		return
	}
	t.only("etcd", "prefix", "user", "password_file", "url", "every", "identity", "client_id", "tenant",
		"channel", "state", "name", "ca", "cert", "key")
	s := &Store{Channel: defaultChannel}
	l.config.Store = s
	etcd, url := t.has("etcd"), t.has("url")
	switch {
	case etcd && url:
		l.rep.add(t.place("url"), &fault{"a store is in etcd or at a URL, not in both", "remove one of the two"})
	case !etcd && !url:
		l.rep.add(t.here(), faultf(fmt.Sprintf("add etcd = [%q] or url = %q", exampleEtcd, exampleURL), "says neither etcd nor url"))
	}
	l.only(t, etcd, "etcd", "prefix", "user", "password_file")
	l.only(t, url, "url", "every", "identity", "client_id", "tenant")
	l.storeEtcd(s, t, files)
	l.storeURL(s, t)
	if channel, given := t.text("channel", defaultChannel); given {
		if s.Channel = channel; labelFault(channel, "a channel") != nil {
			l.rep.add(t.place("channel"), labelFault(channel, "a channel"))
		}
	}
	switch state, given := t.text("state", exampleState); {
	case given && state != "":
		s.State = files.path(state)
	case given || !t.has("state"):
		l.rep.add(t.here(), faultf(fmt.Sprintf("add state = %q, a folder that this user can write", exampleState),
			"has no state: without the last good release on disk, a start while the store is away would serve nothing"))
	}
	s.Name = l.instanceName(t)
	l.storeTLS(s, t, files)
}

// only refuses keys that are about the other kind of store.
func (l *loader) only(t table, is bool, kind string, keys ...string) {
	for _, key := range keys {
		if !is && t.has(key) && key != kind {
			l.rep.add(t.place(key), faultf("remove it", "is about a store with the key %s, and this one has none", kind))
		}
	}
}

// instanceName is the name of this instance: that of the host, unless the file says one.
func (l *loader) instanceName(t table) string {
	name, given := t.text("name", "hub-1")
	if !given {
		name, _ = os.Hostname()
	}
	if !instanceName.MatchString(name) {
		if given {
			l.rep.add(t.place("name"), faultf("use letters, digits, dots, hyphens and underscores", "%q is no name for an instance", name))
		}
		return "unnamed"
	}
	return name
}

// storeEtcd reads how etcd is reached.
func (l *loader) storeEtcd(s *Store, t table, files files) {
	members, ok := t.texts("etcd", exampleEtcd)
	if ok && len(members) == 0 {
		l.rep.add(t.place("etcd"), faultf(fmt.Sprintf("write [%q], one for each member", exampleEtcd), "names no member"))
	}
	for _, e := range members {
		u, err := url.Parse(e.text)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Port() == "" || u.User != nil ||
			strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			remedy := fmt.Sprintf("write the URL of a member, such as %q", exampleEtcd)
			l.rep.add(e.place, faultf(remedy, "%q is no member of a cluster", e.text))
			continue
		}
		if u.Scheme == "http" && !onThisMachine(u.Hostname()) {
			l.rep.warn(e.place, faultf("write https://, and the authority in ca",
				"whoever is on the way to %s can change what is served", u.Host))
		}
		s.Etcd = append(s.Etcd, u.Scheme+"://"+u.Host)
	}
	s.Prefix = defaultPrefix
	if prefix, given := t.text("prefix", defaultPrefix); given {
		if s.Prefix = strings.TrimRight(prefix, "/") + "/"; len(prefix) < 2 || len(prefix) > 200 {
			l.rep.add(t.place("prefix"), faultf(fmt.Sprintf("write %q or another one", defaultPrefix), "%q is no prefix of keys", prefix))
		}
	}
	s.User, _ = t.text("user", "pldns-hub")
	if secret, ok := l.pem(t, "password_file", "etcd-password", &s.PasswordFile, files); ok {
		s.Password = strings.TrimSpace(string(secret))
	}
	if t.has("user") != t.has("password_file") {
		l.rep.add(t.here(), &fault{"user and password_file need each other",
			"write both or neither; a certificate with cert and key names a user, too"})
	}
}

// onThisMachine tells whether a host is this machine.
func onThisMachine(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}

// storeURL reads how releases at a URL are followed.
func (l *loader) storeURL(s *Store, t table) {
	s.Every = t.duration("every", defaultStoreEvery, minEvery, time.Hour)
	if text, given := t.text("url", exampleURL); given {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" ||
			u.Fragment != "" {
			remedy := fmt.Sprintf("write the URL of a folder, such as %q", exampleURL)
			l.rep.add(t.place("url"), faultf(remedy, "%q is no URL of a folder", text))
		} else if u.Scheme == "http" && !onThisMachine(u.Hostname()) {
			l.rep.warn(t.place("url"), faultf("write https://", "whoever is on the way to %s can change what is served", u.Host))
		}
		s.URL = strings.TrimRight(text, "/") + "/"
	}
	if text, given := t.text("identity", string(ManagedIdentity)); given {
		s.Identity = Identity(text)
		if !slices.Contains([]Identity{ManagedIdentity, WorkloadIdentity, EnvironmentIdentity, CLIIdentity}, s.Identity) {
			l.rep.add(t.place("identity"), faultf(`write "managed", "workload", "environment" or "cli"`, "%q is no identity", text))
		}
		if strings.HasPrefix(s.URL, "http:") {
			l.rep.add(t.place("identity"), &fault{"a token is sent over HTTPS only", "write https:// in url, or remove it"})
		}
	}
	s.ClientID, s.Tenant = l.guid(t, "client_id"), l.guid(t, "tenant")
	if s.Identity == "" && (s.ClientID != "" || s.Tenant != "") {
		l.rep.add(t.here(), &fault{"client_id and tenant are about an identity, and there is none",
			`add identity = "managed", or remove them`})
	}
}

// storeTLS reads what certificates the store is to have, and what it is shown.
func (l *loader) storeTLS(s *Store, t table, files files) {
	s.Roots = l.authorities(t, "ca", "etcd-ca.crt", "the certificate of the store", &s.CA, files, x509.NewCertPool)
	cert, certOK := l.pem(t, "cert", "etcd-client.crt", &s.Cert, files)
	key, keyOK := l.pem(t, "key", "etcd-client.key", &s.Key, files)
	if t.has("cert") != t.has("key") {
		l.rep.add(t.here(), &fault{"cert and key need each other", "write both or neither"})
	}
	if !certOK || !keyOK {
		return
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		l.rep.add(t.place("cert"), faultf("write the PEM files of one certificate and of its key", "%s",
			strings.TrimPrefix(err.Error(), "tls: ")))
		return
	}
	l.warnOfExpiry(t.place("cert"), pair.Leaf)
	s.Certificate = &pair
}

// Where is where the store is, for people.
func (s *Store) Where() string {
	if s.URL != "" {
		return s.URL
	}
	hosts := make([]string, len(s.Etcd))
	for i, member := range s.Etcd {
		_, hosts[i], _ = strings.Cut(member, "://")
		if host, port, err := net.SplitHostPort(hosts[i]); err == nil && port == "2379" {
			hosts[i] = host
		}
	}
	return "etcd at " + strings.Join(hosts, ", ")
}
