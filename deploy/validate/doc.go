// Package validate holds what is under deploy against the schemas of the programs
// that read it. It is a module of its own, so that the server depends on none of
// their libraries. The tests are all there is.
package validate
