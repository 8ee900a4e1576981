// Package certificates tries the scripts in this folder: with an authority that speaks ACME,
// with a vault as Azure's, and with a pldns that serves meanwhile. It is a module of its own,
// so that the server depends on none of their libraries. The tests are all there is.
package certificates
