package azureimport

import "strings"

// shapePowerShellRecord is what Get-AzPrivateDnsRecordSet gives. It has no resource
// type of Azure, and its own is a number or a word.
const shapePowerShellRecord = "powershell record set"

// readPowerShellRecord reads a record set of Get-AzPrivateDnsRecordSet: a name, a
// zone, and records that tell their type by their one property.
func (e *Export) readPowerShellRecord(file string, n node) {
	id, zone := n.get("id").text(), strings.ToLower(n.get("zoneName").text())
	read := Record{
		ID: id, ZoneID: zoneIDOf(id), Zone: zone, Name: ownerName(n.get("name").text(), zone), File: file,
		AutoRegistered: n.get("isAutoRegistered").truth(), Creator: creatorOf(n.get("metadata")),
	}
	read.takeData(n.get("records"))
	if n.err() == nil {
		e.takeRecord(read)
	}
}

// isFlattened reports whether a text is what ConvertTo-Json puts where it does not
// look deeper: the name of a class, or properties in a form that is no JSON.
func isFlattened(text string) bool {
	return strings.HasPrefix(text, "@{") || strings.HasPrefix(text, "Microsoft.Azure.Commands.") ||
		strings.HasPrefix(text, "System.") || strings.HasPrefix(text, "Microsoft.Azure.Management.") ||
		strings.HasPrefix(text, "DnsServerResourceRecord") || strings.HasPrefix(text, "CimInstance")
}
