// Package azureimport makes endpoint tables of what Azure and others export: lists
// of the Azure command line, Resource Graph and ARM answers, Terraform state, zone
// files and hosts files. Nobody has to type addresses, and a second import changes
// only what changed.
//
// An [Export] reads any number of files. Each tells a part: the list of private
// endpoints says which are approved, but holds no name once a DNS zone group is
// attached; the zone group holds private names, the network interface public ones.
// [Export.Networks] puts the parts together by trust: network interface and zone
// group before the endpoint's own list (customDnsConfigs), and that before the
// catalogue, which names an endpoint by the resource it leads to where that can
// mean one thing only.
//
// [Render] writes tables, [File.Edit] changes those of an operator's file and leaves
// the rest of it byte for byte, and [Compare] finds where a configuration and an
// export have drifted apart.
//
// Exports hold what is nobody's business here, Terraform state above all. Only the
// resource types that are needed are looked at, and messages name places in the
// file, never what else stands there.
package azureimport
