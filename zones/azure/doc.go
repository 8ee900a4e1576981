// Package azure is the catalogue of Azure Private Link zones: which public zone
// pairs with which privatelink zone in the three clouds, and the private name
// that Azure makes of a public one.
//
// Everything is said by one data file, catalogue.csv. It holds every row of the
// table that Microsoft publishes as "Azure Private Endpoint private DNS zone
// values", and rows that the table lacks, where two other sources have them or they
// were seen in use; each says where it is from and of when. [Catalogue.With] adds
// rows of an operator. Most services follow one rule: the private name of
// {name}.ZONE is {name}.privatelink.ZONE. Where a service does otherwise, the column
// "names" of its row says so, as a list of items separated by "; ":
//
//	PUBLIC                names of this form become private by the rule of the row
//	PUBLIC <=> PRIVATE    names of the one form become the other, and back
//	PUBLIC => PRIVATE     the same, but the way back is not unique or not known
//	PUBLIC ! REASON       the private name cannot be told from the public one
//	-                     another row decides about the names of this one
//	only                  clients ask for private names of the row as they are
//
// A form is a domain name in which {word} stands for one label, or for the part
// of a label that the text after it leaves. Four words say more: {labels}, only
// leftmost, stands for one label or several; {z} for the DNS zone of a storage
// account, z and one or two digits; {partitionId} for digits; {stamp} for a
// region and two digits, as in westeurope-01. The labels of a private form that
// stand left of its zone are always the leftmost labels of the public form:
// Azure keeps the labels it finds and translates none.
//
// A second file, resources.csv, says of some types of resources how the name of a
// resource makes its public names, and which wildcards are those of one customer.
//
// A name with more or fewer labels than its service has, such as
// a.b.vault.azure.net, is a [NotDerivableError]: Azure has no such name, and a
// private name that nobody asks for would hide the mistake.
package azure
