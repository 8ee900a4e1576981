package daemon

import (
	"context"
	"reflect"
	"slices"
	"time"

	"pldns/config"
	"pldns/resolver/secondary"
	"pldns/zones/catalogzone"
	"pldns/zones/content"
)

// catalogCheck says why a version of a catalog is not taken: it is broken.
func catalogCheck(z *content.Zone) error {
	_, err := catalogzone.Read(z)
	return err
}

// catalogKey tells a catalog from others, whoever it is taken from.
func catalogKey(of *config.Catalog) string { return of.Network + " " + of.Zone.String() }

// listings are what the catalogs of a configuration list, by [catalogKey]. One of which there
// is nothing, or nothing that is sound, lists what it did before: a zone goes when a catalog
// says so, and not because there is no catalog.
func listings(c *config.Config, copies map[string]content.Copy, before map[string]*catalogzone.Catalog) map[string]*catalogzone.Catalog {
	all := make(map[string]*catalogzone.Catalog, len(c.Catalogs))
	for i := range c.Catalogs {
		of := &c.Catalogs[i]
		key := catalogKey(of)
		all[key] = before[key]
		if held := copies[of.Copy].Zone; held != nil { // also where it has expired
			if read, err := catalogzone.Read(held); err == nil {
				all[key] = read
			}
		}
	}
	return all
}

// joined is a configuration with the zones that its catalogs list.
func joined(c *config.Config, listed map[string]*catalogzone.Catalog) (*config.Config, []string, error) {
	known := make(map[string]*catalogzone.Catalog)
	for i := range c.Catalogs {
		if read := listed[catalogKey(&c.Catalogs[i])]; read != nil {
			known[c.Catalogs[i].Copy] = read
		}
	}
	return c.WithMembers(known)
}

// complete gives a configuration with what zones that are held say of it: the zones that its
// catalogs list, and the policies that are taken from primaries. What that is read from is
// held from now on, beside what was before. The second result is what was left out.
func (x *exchanged) complete(c *config.Config, before *exchanged) (*config.Config, []string, error) {
	x.catalogs, x.policyZones = c.Catalogs, c.PolicyZones
	if len(c.Catalogs)+len(c.PolicyZones) == 0 {
		return c, nil, nil
	}
	var listed map[string]*catalogzone.Catalog
	sources := sourcesOfCopies(c)
	if before != nil && before.exchange == x.exchange {
		listed = before.listed
		for _, source := range before.sources {
			if !slices.ContainsFunc(sources, func(s secondary.Source) bool { return s.ID == source.ID }) {
				sources = append(sources, source)
			}
		}
	}
	x.secondary.Hold(sources)
	copies := x.secondary.Copies()
	x.listed = listings(c, copies, listed)
	c, warnings, err := joined(c, x.listed)
	if err != nil {
		return nil, nil, err
	}
	return x.renewal.apply(c, copies), warnings, nil
}

// abandoned lets go of what was held for a configuration that is not served.
func (x *exchanged) abandoned() { x.secondary.Hold(x.sources) }

// membersChanged tells whether catalogs list other zones than those that are served.
func (x *exchanged) membersChanged() bool {
	next := listings(&config.Config{Catalogs: x.catalogs}, x.secondary.Copies(), x.listed)
	for key, read := range next {
		switch served := x.listed[key]; {
		case read == nil:
		case served == nil, !reflect.DeepEqual(served.Members, read.Members), !slices.Equal(served.LeftOut, read.LeftOut):
			return true
		}
	}
	return false
}

// relistPause is how long a reload is waited for that did not serve what catalogs list.
const relistPause = time.Minute

// relisting serves what catalogs list by a reload whenever that is something else.
type relisting struct {
	server *Server
	of     *exchange
	news   chan struct{} // has a token when a catalog has changed
}

// tell has the catalogs looked at.
func (r *relisting) tell() {
	select {
	case r.news <- struct{}{}:
	default: // there is a token already
	}
}

// Run reloads until the context ends. The error is always nil.
func (r *relisting) Run(ctx context.Context) error {
	again := time.NewTimer(relistPause)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.news:
		case <-again.C:
		}
		if now := r.server.now(); now.exchange == r.of && now.exchanged.membersChanged() {
			_ = r.server.reload(ctx) // logged, and shown by /readyz
		}
		again.Reset(relistPause)
	}
}
