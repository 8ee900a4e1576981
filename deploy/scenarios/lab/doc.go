// Package lab builds small networks of hosts on one Linux machine, for tests of
// whole deployments: every host is a network namespace with addresses, routes and
// a firewall of its own, and runs real programs.
//
// Nothing is shared with the machine or with other labs: no interface and no
// address exists outside the namespaces, all of which carry the process id in
// their name and are removed when the test ends. What a killed test left behind is
// removed by the next one.
//
// A lab needs root, Linux, and the programs ip and nft. [New] skips the test where
// they are missing or where it was not asked for.
package lab
