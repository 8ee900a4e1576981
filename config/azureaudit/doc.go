// Package azureaudit says what Azure DNS answers in each VNet of an estate,
// and where that is not what it should be: a zone that is linked and lacks a record,
// a record whose address no interface has, an endpoint that nobody approved. It is
// pure: the inventory of an export in, findings out.
//
// The rules of Azure DNS that it follows: a VNet is answered from the private zones
// that are linked to it, each of another name; a name that such a zone lacks does not
// exist there, unless the link falls back to the internet (resolutionPolicy
// NxDomainRedirect); everything else is answered from the public DNS. The public
// name of a resource is an alias of its private name as soon as one endpoint of it
// is approved, for everybody.
//
// What an export does not hold is not taken for absent: a check that needs records,
// links or interfaces is left out where there are none, and a note says so. Of a live
// Azure, [Inventory] makes the same of listings, and a [Reach] that says how far they go.
package azureaudit
