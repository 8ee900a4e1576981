package admin

import (
	"net/http"
	"slices"

	"pldns/resolver/traffic"
	"pldns/zones"
)

// networkPage is what the page of one network shows.
type networkPage struct {
	Traffic   charted
	Network   Network
	Zones     []zoneRow
	ZoneCount int
	Unhealthy []Endpoint
	Unmapped  []UnmappedName
	Tops      []topTable
}

// zoneRow is a zone as the network sees it.
type zoneRow struct {
	Name, Missing string
	Copy          bool // it is held as a copy of another server's
}

// topTable is a list as a table.
type topTable struct {
	Top
	Title, Column, Unit string
}

// networkRows is how many rows a table of the page of a network has at most; each leads to a
// page that has them all.
const networkRows = 20

// zoneRows is how many zones it shows.
const zoneRows = 100

// networkPage shows one network, if there is one of the name in the path.
func (s *Server) networkPage(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	networks := s.networks()
	at := slices.IndexFunc(networks, func(n Network) bool { return n.Name == name })
	if at < 0 {
		s.show(w, r, "outcome", page{
			Title: "No such network", Path: "/networks", Code: http.StatusNotFound,
			Data: result{Text: "The configuration that is served has no network of this name.", Back: "/networks"},
		})
		return
	}
	span, _ := traffic.ParseSpan("hour")
	if asked, known := spanOf(r.URL.Query()); known {
		span = asked
	}
	s.options.Traffic.Look()
	data := networkPage{Network: networks[at], Traffic: charts(networkPath(name), s.options.Traffic.Of(name, span)), Tops: s.tops(name)}
	if data.Network.Unhealthy > 0 {
		data.Unhealthy = s.endpointsFor(search{Network: name, Health: unhealthy}, window{Page: 1, size: networkRows}).Endpoints
	}
	data.Zones, data.ZoneCount = s.zonesOf(name)
	for _, unmapped := range s.options.Unmapped() {
		if unmapped.Network == name {
			data.Unmapped = unmapped.Unmapped[:min(networkRows, len(unmapped.Unmapped))]
		}
	}
	s.show(w, r, "network", page{Title: name, Path: "/networks", Data: data, Refresh: pageRefresh})
}

// zonesOf are the first zones of a network, and how many there are.
func (s *Server) zonesOf(name string) (rows []zoneRow, count int) {
	all := s.options.Index().networks
	at := slices.IndexFunc(all, func(n *indexed) bool { return n.Name() == name })
	if at < 0 {
		return nil, 0 // a reload came between
	}
	found := slices.DeleteFunc(all[at].Zones(), func(z zones.Zone) bool { return z.Special })
	for _, zone := range found[:min(zoneRows, len(found))] {
		rows = append(rows, zoneRow{zone.Name.String(), zone.Missing.String(), zone.Copy != ""})
	}
	return rows, len(found)
}

// tops are the lists of a network.
func (s *Server) tops(name string) (all []topTable) {
	for _, kind := range traffic.Kinds() {
		table := topTable{Top: s.top(name, kind), Column: "Name", Unit: "Queries"}
		table.Title = [...]string{
			"Names asked for most", "Clients that ask most", "Names that do not exist", "Names waited for longest",
		}[kind]
		switch kind {
		case traffic.TopClients:
			table.Column = "Client"
		case traffic.TopSlow:
			table.Unit = "Seconds waited"
		}
		all = append(all, table)
	}
	return all
}
