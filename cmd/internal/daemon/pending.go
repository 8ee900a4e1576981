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
	shares := []share.Usage{} // a list in JSON also where it is empty
	shares = append(shares, slices.Concat(view.Networks, view.Clients, view.Suffixes)...)
	return admin.Pending{Over: over, InFlight: view.Held, Capacity: view.Capacity, Shares: shares}
}
