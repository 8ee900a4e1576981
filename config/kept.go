package config

import (
	"io/fs"
	"os"
	"reflect"
	"sync"
	"time"

	"pldns/zones"
	"pldns/zones/policy"
)

// Memory keeps what was made of large files from one reading of a configuration to the
// next, for whoever reads one again and again: policies of which nothing has changed are
// not read anew. The zero Memory is empty. Any number of goroutines may use it.
type Memory struct {
	mutex    sync.Mutex
	policies map[string]*keptPolicy // of the reading that ended last
}

// LoadWith is the function [LoadWith], with what the memory has. The error is that of Load.
func (m *Memory) LoadWith(path string, releases Releases) (*Config, error) {
	report, err := checkWith(path, m, releases, false)
	if err != nil {
		return nil, err
	}
	return report.result()
}

// freshness is how old a change of a file has to be before it is believed that a later one
// shows in its time: clocks of files are coarse, on some file systems two seconds.
const freshness = 2 * time.Second

// keptPolicy is a policy, and all that it was made of.
type keptPolicy struct {
	options policy.Options
	format  policy.Format
	zone    zones.Name
	files   []keptFile
	made    *policy.Policy // once a network has named it
}

// keptFile is a version of a file, and what was found in it.
type keptFile struct {
	name  string
	info  fs.FileInfo // nil where versions cannot be told apart
	found policy.Found
}

// version looks at a file before it is read. Files of a release have no versions: another
// release has other names for them.
func (m *Memory) version(name string, now time.Time) keptFile {
	f := keptFile{name: name}
	if m == nil || placeOf(name, "").Released() {
		return f
	}
	if info, err := os.Stat(name); err == nil && now.Sub(info.ModTime()) > freshness {
		f.info = info
	}
	return f
}

// isOf tells whether a file is the same version as another.
func (f *keptFile) isOf(other *keptFile) bool {
	return f.name == other.name && f.info != nil && other.info != nil && os.SameFile(f.info, other.info) &&
		f.info.Size() == other.info.Size() && f.info.ModTime().Equal(other.info.ModTime())
}

// same gives the policy that was made of the same files in the same way; nil if there is
// none.
func (m *Memory) same(name string, next *keptPolicy) *keptPolicy {
	if m == nil {
		return nil
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	known := m.policies[name]
	if known == nil || known.format != next.format || known.zone != next.zone || !reflect.DeepEqual(known.options, next.options) ||
		len(known.files) != len(next.files) {
		return nil
	}
	for i := range known.files {
		if !known.files[i].isOf(&next.files[i]) {
			return nil
		}
	}
	return known
}

// keep takes the policies of a reading in the place of those before.
func (m *Memory) keep(policies map[string]*keptPolicy) {
	if m == nil {
		return
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.policies = policies
}
