// Package replycache remembers finished replies, octet for octet, so that a question
// that has been answered is answered again without being parsed or decided anew.
//
// A [Cache] belongs to one snapshot of the resolver and dies with it, and what it
// holds was said to one network: the network is the first part of every key, and
// keys are compared in full. It knows nothing of DNS but where in a message the
// id, the question and the TTLs stand; what may be remembered, and for how long,
// is decided by those who put it in.
package replycache
