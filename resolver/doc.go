// Package resolver decides answers: one [Query] in, one [Answer] out, and why.
//
// [Resolver.Resolve] is the product in one function. It finds the asker's network
// before any name is looked at, answers what that network owns from its table,
// asks an upstream group for the rest, and begins again at every CNAME, so that
// a chain ends in the asker's private address wherever it comes from. What the
// outside said may be remembered by an [Exchanger] under it; what a network owns
// never is.
package resolver
