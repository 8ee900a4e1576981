// Package listen holds the doors of the resolver: it turns packets into queries
// and answers into packets, over UDP, TCP, TLS and HTTPS.
//
// A [Server] binds its addresses, reads messages, and hands what is a standard
// query with one question to its [Handler]. What is not such a query is answered
// on the spot, or met with silence where an answer could be abused. Nothing that
// a client sends is parsed further than the question and the OPT record, and no
// record of a query is believed.
//
// Where each decision is made: what is a query, and what else is said to it, in
// accept.go and refusal.go; how often a client is answered over UDP in limits.go;
// how large a reply may be, and what goes when it is too large, in reply.go; which
// sockets there are in bind.go; how a packet is waited for in udp_linux.go and
// conn_linux.go, on other systems in udp_single.go; which local address was asked in
// pktinfo.go; how many connections there may be, and which one gives way, in
// conns.go; how long a connection may take over anything in tcp.go.
package listen
