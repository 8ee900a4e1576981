package azurediscovery

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pldns/config"
)

const (
	stateFormat = 1
	// largestState bounds the file: a listing of 100,000 endpoints has some 150 MiB.
	largestState = 512 << 20
	// largestHead bounds its first line.
	largestHead = 64 << 10
)

// head is the first line of a state file. The listing is the rest.
type head struct {
	Format   int      `json:"pldns_state"`
	Source   string   `json:"source"` // the NAME of [azure.NAME]
	Cloud    string   `json:"cloud"`
	Endpoint string   `json:"endpoint,omitempty"`
	Tenants  []string `json:"tenants"`
	Digest   string   `json:"sha256"` // of the rest
}

// tenants are those whose subscriptions a listing has, sorted.
func (l *Listing) tenants() []string {
	var all []string
	for _, s := range l.Subscriptions {
		if s.Tenant != "" && !slices.Contains(all, s.Tenant) {
			all = append(all, s.Tenant)
		}
	}
	slices.Sort(all)
	return all
}

// moved tells whether a later listing has no tenant of this one, and one of each.
func (l *Listing) moved(later *Listing) (before, now string, moved bool) {
	here, there := l.tenants(), later.tenants()
	if len(here) == 0 || len(there) == 0 || slices.ContainsFunc(there, func(tenant string) bool { return slices.Contains(here, tenant) }) {
		return "", "", false
	}
	return here[0], there[0], true
}

// Save writes a listing so that the file holds either the old one or the new one, as a
// whole, whatever happens meanwhile. Only the user who runs this may read it. The error
// names the file that cannot be written.
func Save(a config.Azure, l *Listing) error {
	h := head{stateFormat, a.Name, string(a.Cloud), a.Endpoint, l.tenants(), strings.Repeat("0", 2*sha256.Size)}
	if err := config.ReplaceFile(a.State, 0o600, func(file *os.File) error { return write(file, h, l) }); err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	return syncDir(filepath.Dir(a.State))
}

// write writes the head, the listing without its rows, and each row on a line of its own,
// so that no more than a row is held. The digest is known then, and put into the head.
func write(file *os.File, h head, l *Listing) error {
	first, err := json.Marshal(h)
	if err != nil {
		return err
	}
	at := int64(bytes.LastIndex(first, []byte(h.Digest)))
	if _, err := file.Write(append(first, '\n')); err != nil {
		return err
	}
	digest := sha256.New()
	buffered := bufio.NewWriterSize(io.MultiWriter(file, digest), 64<<10)
	if err := writeListing(buffered, l); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	_, err = file.WriteAt([]byte(hex.EncodeToString(digest.Sum(nil))), at)
	return err
}

// writeListing writes a listing without its rows, and then each row on a line of its own,
// always in the same order.
func writeListing(to io.Writer, l *Listing) error {
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(&Listing{Taken: l.Taken, Subscriptions: l.Subscriptions}); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(l.Rows)) {
		if err := encoder.Encode(l.Rows[id]); err != nil {
			return err
		}
	}
	return nil
}

// encode is a listing as it is published: a state file without times.
func encode(a config.Azure, l *Listing) ([]byte, error) {
	var rest bytes.Buffer
	if err := writeListing(&rest, l.timeless()); err != nil {
		return nil, err
	}
	digest := sha256.Sum256(rest.Bytes())
	first, err := json.Marshal(head{stateFormat, a.Name, string(a.Cloud), a.Endpoint, l.tenants(), hex.EncodeToString(digest[:])})
	return append(append(first, '\n'), rest.Bytes()...), err
}

// syncDir waits until the name of a file is on the disk. Not every file system can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	_ = d.Sync()
	return d.Close()
}

// ErrNoState is that there is no file yet.
var ErrNoState = errors.New("there is no last good listing yet")

// Restore reads the last good listing. A file that is damaged, or of another source,
// cloud or tenant, is an error that says so.
func Restore(a config.Azure) (*Listing, error) {
	file, _, err := config.OpenFile(a.State, largestState)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoState
	}
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	defer file.Close()
	l, err := decode(a, file)
	if err != nil {
		return nil, fmt.Errorf("%s is not used: %w: remove it, or name another file in state", a.State, err)
	}
	return l, nil
}

// decode reads a state. The error says that it is damaged, or of another source, cloud or
// tenant.
func decode(a config.Azure, state io.Reader) (*Listing, error) {
	from := bufio.NewReaderSize(io.LimitReader(state, largestState), largestHead)
	first, err := from.ReadSlice('\n')
	var h head
	if err != nil || json.Unmarshal(first, &h) != nil || h.Format == 0 {
		return nil, errors.New("it is no state of this program")
	}
	switch {
	case h.Format != stateFormat:
		return nil, errors.New("it is of another version of this program")
	case h.Source != a.Name:
		return nil, fmt.Errorf("it is of [azure.%s]", h.Source)
	case a.Cloud != "" && (h.Cloud != string(a.Cloud) || h.Endpoint != a.Endpoint):
		return nil, errors.New("it is of another cloud")
	case a.Tenant != "" && len(h.Tenants) > 0 && !slices.Contains(h.Tenants, a.Tenant):
		return nil, fmt.Errorf("it is of another tenant, %s", h.Tenants[0])
	}
	digest := sha256.New()
	l, err := readListing(io.TeeReader(from, digest))
	if _, rest := io.Copy(digest, from); rest != nil || h.Digest != hex.EncodeToString(digest.Sum(nil)) {
		return nil, errors.New("it is damaged")
	}
	if err != nil {
		return nil, errors.New("it is no listing")
	}
	return l, nil
}

// readListing reads what write wrote behind the head.
func readListing(from io.Reader) (*Listing, error) {
	decoder := json.NewDecoder(from)
	l := new(Listing)
	if err := decoder.Decode(l); err != nil {
		return nil, err
	}
	l.Rows = make(map[string]*Row)
	for {
		row := new(Row)
		switch err := decoder.Decode(row); {
		case err == io.EOF && l.whole():
			return l, nil
		case err != nil:
			return nil, cmp.Or(err, errors.New("it is not whole"))
		}
		row.known = key(row.Kind, row.ID)
		if row.Seen.Equal(l.Taken) {
			row.Seen = time.Time{}
		}
		l.Rows[row.known] = row
	}
}

// whole tells whether every row has what its kind says.
func (l *Listing) whole() bool {
	for id, row := range l.Rows {
		if row == nil || row.key() != id {
			return false
		}
		has := map[Kind]bool{
			KindEndpoint: row.Endpoint != nil, KindInterface: row.Interface != nil, KindLink: row.Link != nil,
			KindRecord: row.Record != nil, KindVNet: row.VNet != nil, KindGateway: row.Gateway != nil,
		}
		if !has[row.Kind] {
			return false
		}
	}
	for id, s := range l.Subscriptions {
		if s == nil || s.ID != id {
			return false
		}
	}
	return true
}
