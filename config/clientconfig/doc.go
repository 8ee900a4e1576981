// Package clientconfig writes the configuration that points the consumers of the
// resolver at it: VPN profiles, name resolution policies, conditional forwarders,
// rulesets. Each names exactly the zones that a configuration has in use.
//
// What is forwarded are public zones. Azure's public DNS makes mydb.database.windows.net
// an alias of mydb.privatelink.database.windows.net, and a server that is asked
// about the public name answers the whole chain; who forwards only the
// privatelink zone and does not look at aliases itself never asks for it. Servers
// that do follow aliases themselves, and look for the forwarder of each target
// anew, get both kinds of zones.
package clientconfig
