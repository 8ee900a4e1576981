// Package azurediscovery learns the endpoints of a live Azure: it lists what an identity
// may read, keeps the last good listing on disk, and makes of it what each network sees.
//
// Nothing here is on the path of a query. A [Discoverer] is a source
// (config/source): it gives complete sets. Its rules are about the ways in which a
// listing can be wrong without saying so:
//
//   - Only a complete listing counts: all pages, of one answer.
//   - What a listing lacks is kept until a second one lacks it, too. More than 20
//     removals at once, or more than a tenth, wait until an operator accepts them.
//   - A subscription that was there and is not may only have lost the identity's role:
//     Azure leaves it out without an error. Its endpoints are kept, and somebody is told.
//   - The last good listing is on disk, with its digest, and is read before anybody is
//     asked. One of another tenant, cloud or source is refused.
//
// In a [Fleet] one instance lists, and what it keeps is what all adopt: so these rules hold
// over a change of the leader, too.
//
// A [Listing] is plain values, [Listing.Next] the rules above without clock or network,
// and [Derive] what networks see of a listing.
package azurediscovery
