// Package release is the form in which a fleet shares a configuration: a release is a
// set of files, as they would lie beside each other on disk, cut into objects that are
// named by their SHA-256 digest, and a manifest that lists them, which is an object, too.
//
// The digest of the manifest names the release. So a release is what it was for ever, two
// pushes of the same files are one release, and whoever has most of a release fetches
// only what differs. Files are cut behind lines that their content chooses: a line more in
// a large file is one object more, and not all of those behind it.
//
// Nothing here trusts where objects come from: each is held against its digest, and
// sizes and counts are bounded before anything is kept.
package release
