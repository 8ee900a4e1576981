package secondary

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pldns/zones"
	"pldns/zones/content"
)

// A copy is kept as a zone file, which other programs read, too. Its first line is a comment that
// says when a primary last confirmed it, so that the time to expire goes on over a restart, and has
// the digest of the rest. The time has a fixed width and place: it alone is written anew when
// nothing else has changed.
const (
	headStart = "; pldns-copy 1 confirmed "
	headTime  = "2006-01-02T15:04:05Z"
	// largestHead bounds the first line, in octets.
	largestHead = 64 << 10
)

// head is the first line.
type head struct {
	confirmed time.Time
	digest    string // SHA-256 of the rest, in hex
	zone      zones.Name
	from      []string // the addresses of the primaries
	key       string   // the name of the key that they were asked with; empty for none
	whom      string   // a digest of Source.For; empty for nobody
}

func (h head) String() string {
	return fmt.Sprintf("%s%s sha256 %s zone %s from %s key %s for %s\n",
		headStart, h.confirmed.UTC().Format(headTime), h.digest, h.zone.FQDN(),
		cmp.Or(strings.Join(h.from, ","), nothing), cmp.Or(h.key, nothing), cmp.Or(h.whom, nothing))
}

// nothing stands where there is no word.
const nothing = "-"

// isSame tells whether another line says the same but for the time and the digest.
func (h head) isSame(other head) bool {
	return h.zone == other.zone && h.key == other.key && h.whom == other.whom && slices.Equal(h.from, other.from)
}

var errHead = errors.New("its first line is not that of a copy")

func parseHead(line string) (head, error) {
	rest, found := strings.CutPrefix(line, headStart)
	words := strings.Fields(rest)
	if !found || len(words) != 11 {
		return head{}, errHead
	}
	for i, name := range []string{"sha256", "zone", "from", "key", "for"} {
		if words[1+2*i] != name {
			return head{}, errHead
		}
	}
	confirmed, err := time.Parse(headTime, words[0])
	if err != nil {
		return head{}, errHead
	}
	zone, err := zones.ParseName(words[4])
	if err != nil {
		return head{}, errHead
	}
	h := head{confirmed: confirmed, digest: words[2], zone: zone}
	if words[6] != nothing {
		h.from = strings.Split(words[6], ",")
	}
	if words[8] != nothing {
		h.key = words[8]
	}
	if words[10] != nothing {
		h.whom = words[10]
	}
	return h, nil
}

// kept is a copy that is on disk.
type kept struct {
	head
	content *content.Zone
}

// take serves a copy that was read from disk.
func (h *held) take(read *kept) {
	h.zone, h.confirmed = read.content, read.confirmed
	if now := time.Now(); h.confirmed.After(now) { // a clock was set: it must not be good for ever
		h.confirmed = now
	}
	h.expired = !time.Now().Before(h.expires())
	h.anew = h.source.isAnew(read.head)
	h.saving.stored, h.saving.head = read.content, read.head
}

// path is where a copy is kept. The id decides; the name of the zone is for people.
func (s *Server) path(source Source) string {
	digest := sha256.Sum256([]byte(source.ID))
	return filepath.Join(s.options.Dir, stem(source.Zone)+"."+hex.EncodeToString(digest[:idOctets])+extension)
}

const (
	idOctets  = 6
	extension = ".zone"
)

// stem is how a zone is called in the names of files: escaped where it has more than letters, digits
// and hyphens, and cut where it is long.
func stem(zone zones.Name) string {
	var name strings.Builder
	for _, c := range []byte(zone.String()) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '.' && name.Len() > 0:
			name.WriteByte(c)
		default:
			fmt.Fprintf(&name, "%%%02x", c)
		}
	}
	const longest = 150
	short := name.String()
	return short[:min(len(short), longest)]
}

// read reads a copy from disk; nil if there is none. One that cannot be used is set aside, and the
// zone begins as if there were none. Siblings are the files of other ids, by the stem of their zone.
func (s *Server) read(source Source, siblings func() map[string][]string) *kept {
	if s.options.Dir == "" {
		return nil
	}
	path := s.path(source)
	read, err := readFile(path, source.Zone)
	switch {
	case err == nil:
		return read
	case errors.Is(err, fs.ErrNotExist):
		return readSibling(source, siblings()[stem(source.Zone)])
	}
	about := []any{"zone", source.Zone, "file", path, "error", text(err)}
	var wrong *fs.PathError
	if errors.As(err, &wrong) { // it may be good: the system does not let it be read
		s.log.Error("the copy of the zone cannot be read from disk", about...)
		return nil
	}
	if err := os.Rename(path, path+".bad"); err != nil {
		about = append(about, "rename", err)
	}
	s.log.Error("the copy of the zone on disk is not good: it is set aside as .bad, and the zone is transferred anew", about...)
	return nil
}

// readSibling reads the copy of another id that a source succeeds: its primaries were edited while nobody
// ran. It is nil if there is none.
func readSibling(source Source, paths []string) *kept {
	var latest head
	var found string
	for _, path := range paths {
		h, err := readHead(path)
		if err == nil && source.isHeir(h) && h.confirmed.After(latest.confirmed) {
			latest, found = h, path
		}
	}
	if found == "" {
		return nil
	}
	read, err := readFile(found, source.Zone)
	if err != nil { // whoever has its id says so
		return nil
	}
	return read
}

// onDisk are the files of a folder by the stems of their zones.
func (s *Server) onDisk() map[string][]string {
	files := make(map[string][]string)
	entries, _ := os.ReadDir(s.options.Dir) // without it there are none
	for _, entry := range entries {
		name, is := strings.CutSuffix(entry.Name(), extension)
		if at := len(name) - 2*idOctets - 1; is && at > 0 && name[at] == '.' {
			files[name[:at]] = append(files[name[:at]], filepath.Join(s.options.Dir, entry.Name()))
		}
	}
	return files
}

func readHead(path string) (head, error) {
	file, err := os.Open(path)
	if err != nil {
		return head{}, err
	}
	defer file.Close()
	return headOf(bufio.NewReaderSize(file, largestHead))
}

func headOf(in *bufio.Reader) (head, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return head{}, errHead
	}
	return parseHead(string(line))
}

func readFile(path string, zone zones.Name) (*kept, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, largestHead)
	h, err := headOf(in)
	switch {
	case err != nil:
		return nil, err
	case h.zone != zone:
		return nil, fmt.Errorf("it is a copy of %s", h.zone)
	}
	digest := sha256.New()
	rest := io.TeeReader(in, digest)
	read, wrong := content.Read(rest, zone)
	if _, err := io.Copy(io.Discard, rest); err != nil {
		return nil, err
	}
	if hex.EncodeToString(digest.Sum(nil)) != h.digest {
		return nil, errors.New("its digest is another")
	}
	return &kept{h, read}, wrong
}

// write writes a copy to a file, and gives its first line.
func write(file *os.File, h head, zone *content.Zone) (head, error) {
	h.digest = strings.Repeat("0", 2*sha256.Size)
	if _, err := io.WriteString(file, h.String()); err != nil {
		return h, err
	}
	digest := sha256.New()
	if _, err := zone.WriteTo(both{file, digest}); err != nil {
		return h, err
	}
	h.digest = hex.EncodeToString(digest.Sum(nil))
	_, err := file.WriteAt([]byte(h.String()), 0)
	return h, err
}

// both writes to a file and a digest.
type both struct {
	file   io.Writer
	digest hash.Hash
}

func (b both) Write(octets []byte) (int, error) {
	b.digest.Write(octets)
	return b.file.Write(octets)
}

// confirm writes the time of a copy whose first line was before. It is false if that is not what the
// file begins with, so that all of it has to be written.
func confirm(path string, before, now head) bool {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	want := before.String()
	begins := make([]byte, len(want))
	if _, err := io.ReadFull(file, begins); err != nil || string(begins) != want {
		return false
	}
	_, err = file.WriteAt([]byte(now.String())[len(headStart):][:len(headTime)], int64(len(headStart)))
	return err == nil
}
