// Package scenarios holds the tests of whole deployments: topologies of hosts, as
// network namespaces, in which real clients open real names. README.md draws them.
package scenarios
