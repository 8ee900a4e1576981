package source

import (
	"time"

	"pldns/config"
)

// The names of the sources that are files.
const (
	FileName  = "file"
	HostsName = "hosts"
	StoreName = "store"
)

// written is what files say: a set that is as new as what is served.
type written struct {
	name string
	set  *Set
	err  error
}

func (w written) Name() string        { return w.name }
func (w written) Last() (*Set, error) { return w.set, w.err }

// Files are the files of a configuration as sources: what is in TOML, what is in hosts
// files and, where there is a store, what is in its release. The configuration was loaded
// at a time; the error says why no newer one is served, and is nil where there is none.
func Files(c *config.Config, loaded time.Time, err error) []Source {
	names := []string{FileName, HostsName, StoreName}
	sets := make([]*Set, len(names))
	for i := range sets {
		sets[i] = &Set{Taken: loaded, Shares: make(map[string]*Share)}
	}
	for i := range c.Networks {
		n := &c.Networks[i]
		all, inHosts, released := n.Count()
		for j, count := range []int{all - inHosts - released, inHosts, released} {
			sets[j].Shares[n.Name] = &Share{Count: count}
		}
	}
	if c.Store == nil {
		names = names[:2]
	}
	var all []Source
	for i, name := range names {
		all = append(all, written{name, sets[i], err})
	}
	return all
}
