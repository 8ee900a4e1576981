package azureimport

import "pldns/zones/azure"

// NewFile is newFile with the built-in catalogue.
func NewFile(name string, data []byte, prune *Pruning) (*File, error) {
	return newFile(name, data, prune, azure.New())
}

// Reasons are all reasons.
func Reasons() []Reason {
	return []Reason{
		MorePages, Unknown, NoName, Partial, NoAddress, BadName, NoPrivateName,
		NotPrivate, Pending, Rejected, Disconnected, Deleting, Failed,
		NotSeen, Planned, NoNetwork, Registered, DeadAlias, Conflicting, Refused, Empty,
	}
}
