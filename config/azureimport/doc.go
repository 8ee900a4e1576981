// Package azureimport makes endpoint tables of what Azure and others export: lists
// of the Azure command line, Resource Graph and ARM answers, Terraform and Pulumi
// state, zone files, hosts files and what other DNS servers write. Nobody has to type
// addresses, and a second import changes only what changed.
//
// An [Export] reads any number of files into an [Inventory]: plain values of what
// they hold, with the ids of resources, and nothing decided. Each file tells a part:
// the list of private endpoints says which are approved, but holds no name once a DNS
// zone group is attached; the zone group holds private names, the network interface
// public ones. Who wants to judge an estate, and not to import it, reads that.
//
// [Export.Networks] decides what of it becomes a mapping. No name is made up: it is
// told by the network interface, a record, the zone group or the endpoint's own list
// (customDnsConfigs), in that order, or by the catalogue where a host name is the
// name of its resource. Whatever is left out is a [Gap] with its reason, and a name
// with two addresses a [Conflict]; a name that is absent is known to be gone only
// where no gap may be meant.
//
// So: [NewExport], [Export.Read] for each file, [Export.Networks], [Render]. [Render]
// writes tables, [File.Edit] changes those of an operator's file and leaves
// the rest of it byte for byte, and [Export.Compare] finds where a configuration and an
// export have drifted apart.
//
// Exports hold what is nobody's business here, Terraform state above all. Only the
// resource types that are needed are looked at, and messages name places in the
// file, never what else stands there.
package azureimport
