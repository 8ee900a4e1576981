// Package azuregraph asks Azure Resource Graph: with a token of one identity, page by
// page, and no faster than it may. It knows queries and rows; what rows mean is for
// config/azurediscovery to say.
//
// A [Client] gives a listing whole or not at all: every page of it, with as many
// different rows as each page says that there are. A page that says otherwise, a
// connection that breaks or a deadline that passes is an error, and so is a scope that
// Azure cut short. What Azure leaves out without a word, such as subscriptions that the
// identity may not read, no client can notice: that is for who remembers the last
// listing.
//
// This is the only package that imports the SDK of Azure: azidentity for tokens, and
// armresourcegraph for the one call.
package azuregraph
