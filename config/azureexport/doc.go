// Package azureexport writes what one network maps in forms that others serve, so
// that they can take over: Azure private DNS zones with their records and links, as
// Bicep or Terraform, a hosts file, or a response policy zone. It is pure: settings
// in, text out.
//
// None of these says all that a configuration does. A Plan has notes for what is
// lost: that nothing but pldns probes an address, that a zone of Azure denies the
// names that it lacks, that a hosts file knows no wildcard.
package azureexport
