package azureaudit

import (
	"cmp"
	"slices"
	"strings"

	"pldns/zones"
)

// Severity is how bad a finding is.
type Severity string

// The severities, the worst first. A note is worth knowing and may be meant.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

func (s Severity) rank() int { return slices.Index([]Severity{Error, Warning, Note}, s) }

// ID is the kind of a finding.
type ID string

// The kinds of findings.
const (
	RecordMissing     ID = "record-missing"
	RecordStale       ID = "record-stale"
	RecordDiffers     ID = "record-differs"
	InterfaceUnlisted ID = "interface-without-record"
	ZoneNotLinked     ID = "zone-not-linked"
	ZoneTwice         ID = "zone-twice"
	ZoneWrongName     ID = "zone-wrong-name"
	ZoneSuperseded    ID = "zone-superseded"
	ZonePublicName    ID = "zone-public-name"
	NoZoneGroup       ID = "no-zone-group"
	NotApproved       ID = "endpoint-not-approved"
	EndpointFailed    ID = "endpoint-failed"
	Registration      ID = "registration"
	NoFallback        ID = "no-fallback"
	AnsweredOtherwise ID = "pldns-differs"
)

// Rule is what there is to say of all findings of a kind.
type Rule struct {
	ID   ID
	Text string // what it means, as a sentence without a full stop
}

// Rules are all kinds, in a stable order.
func Rules() []Rule {
	return []Rule{
		{RecordMissing, "A zone is linked to a VNet and lacks the record of an endpoint"},
		{RecordStale, "A record has an address that no network interface of a private endpoint has"},
		{RecordDiffers, "A record has another address than the network interface of its endpoint"},
		{InterfaceUnlisted, "No zone has a record for a name of an endpoint's network interface"},
		{ZoneNotLinked, "A zone is not linked to the VNet that the endpoint lies in"},
		{ZoneTwice, "Two private zones have one name"},
		{ZoneWrongName, "A private zone has a name that no alias of Azure leads to"},
		{ZoneSuperseded, "A private zone has a name that Azure has given up"},
		{ZonePublicName, "A private zone has the name of a public zone of Azure"},
		{NoZoneGroup, "A private endpoint has no DNS zone group"},
		{NotApproved, "The connection of a private endpoint is not approved"},
		{EndpointFailed, "A private endpoint was not provisioned, or is being deleted"},
		{Registration, "Virtual machines register their names in a privatelink zone"},
		{NoFallback, "A link of a privatelink zone does not fall back to the internet"},
		{AnsweredOtherwise, "pldns answers otherwise than Azure DNS"},
	}
}

// Finding is something that is not as it should be.
type Finding struct {
	ID       ID       `json:"id"`
	Severity Severity `json:"severity"`
	Resource string   `json:"resource"` // id of the resource that is to be changed
	File     string   `json:"file"`     // the export that tells of it; empty for one of pldns
	// VNets are the ids of the VNets whose clients are concerned; empty for all.
	VNets []string `json:"vnets,omitempty"`
	// Names are what clients ask for and get a wrong answer to.
	Names []zones.Name `json:"names,omitempty"`
	// Answer is what Azure DNS says of them, Want what it should say, and Ours what
	// pldns says; empty where that is not the matter.
	Answer string `json:"answer,omitempty"`
	Want   string `json:"want,omitempty"`
	Ours   string `json:"pldns,omitempty"`
	Effect string `json:"effect"` // what happens to which client
	Action string `json:"action"` // what to do
}

// sortFindings brings findings into a stable order, the worst first.
func sortFindings(all []Finding) {
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Severity.rank(), b.Severity.rank()), cmp.Compare(a.ID, b.ID),
			cmp.Compare(strings.ToLower(a.Resource), strings.ToLower(b.Resource)),
			slices.CompareFunc(a.Names, b.Names, zones.Name.Compare), cmp.Compare(a.Effect, b.Effect))
	})
}
