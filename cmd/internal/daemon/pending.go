package daemon

import (
	"slices"

	"pldns/resolver/admin"
	"pldns/resolver/forward/share"
)

// maxShares is how many networks, clients and domains each are shown.
const maxShares = 10

// pending are the queries that wait for the outside, as operators see them.
func (s *Server) pending() []admin.Pending {
	datagrams, streams := s.listeners.Limiting(maxShares)
	return []admin.Pending{pendingOf("udp", datagrams), pendingOf("tcp", streams)}
}

func pendingOf(over string, view share.View) admin.Pending {
	shown := admin.Pending{Over: over, InFlight: view.Held, Capacity: view.Capacity, Shares: []admin.Share{}}
	for _, usage := range slices.Concat(view.Networks, view.Clients, view.Suffixes) {
		shown.Shares = append(shown.Shares, shareOf(usage))
	}
	return shown
}

// shareOf is what a network, a client or a domain holds, as operators see it.
func shareOf(usage share.Usage) admin.Share {
	of := admin.Share{Network: usage.Network, Suffix: usage.Suffix, InFlight: usage.Held, GaveWay: usage.GaveWay}
	if usage.Client.IsValid() {
		of.Client = usage.Client.String()
	}
	return of
}
