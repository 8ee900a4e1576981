// Package resolver decides answers: one [Query] in, one [Answer] out, and why.
//
// [Snapshot.Begin] is the product in one function. It is told the asker's network
// before any name is looked at, answers what that network owns from its table,
// asks an upstream group for the rest, and begins again at every CNAME, so that
// a chain ends in the asker's private address wherever it comes from. Where the group
// has to be waited for, it gives a [Pending], which goes on when the reply is there;
// [Resolver.Resolve] and [Resolver.Explain] are the same for those who wait. What the
// outside said may be remembered by an [Exchanger] under it; what a network owns
// never is.
package resolver
