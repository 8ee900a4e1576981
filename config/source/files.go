package source

import (
	"time"

	"pldns/config"
)

// The names of the sources that are files.
const (
	FileName  = "file"
	HostsName = "hosts"
)

// written is what files say: a set that is as new as what is served.
type written struct {
	name string
	set  *Set
	err  error
}

func (w written) Name() string        { return w.name }
func (w written) Last() (*Set, error) { return w.set, w.err }

// Files are the files of a configuration as two sources: what is in TOML, and what is
// in hosts files. The configuration was loaded at a time; the error says why no newer
// one is served, and is nil where there is none.
func Files(c *config.Config, loaded time.Time, err error) (file, hosts Source) {
	toml, lines := &Set{Taken: loaded, Shares: make(map[string]*Share)}, &Set{Taken: loaded, Shares: make(map[string]*Share)}
	for i := range c.Networks {
		n := &c.Networks[i]
		all, inHosts := n.Count()
		toml.Shares[n.Name], lines.Shares[n.Name] = &Share{Count: all - inHosts}, &Share{Count: inHosts}
	}
	return written{FileName, toml, err}, written{HostsName, lines, err}
}
