// Package listen holds the listeners of the resolver: it turns packets into queries
// and answers into packets, over UDP, TCP, TLS, HTTPS and QUIC.
//
// A [Server] binds its addresses, reads messages, and has its [Handler] decide what is
// a standard query with one question. What is not such a query is answered
// on the spot, or met with silence where an answer could be abused. Nothing that
// a client sends is parsed further than the question and the OPT record, and no
// record of a query is believed. Of other servers, with which zones are exchanged, the
// signature is verified, and the serial is read of what they have: peers.go, transfer.go.
//
// Every query takes the one way that serve.go shows from top to bottom, whatever it came
// over; a transport reads messages and writes replies. A query that has to wait for the
// outside is kept in a small value, without a goroutine, and answered by whoever learns
// the outcome: pending.go, and pendings.go for how many there may be.
//
// Where else decisions are made: what is a query, and what else is said to it, in
// accept.go and refusal.go; how often a client is answered over UDP in limits.go and
// responses.go, and how large replies may be that are released together in release.go; how
// large a reply may be, and what goes when it is too large, in reply.go; which
// sockets there are in bind.go; how many of those of an address are sent packets in
// spread_linux.go; how a packet is waited for in udp_linux.go and
// conn_linux.go, on other systems in udp_single.go; which local address was asked in
// pktinfo.go; how many connections there may be, and which one gives way, in
// conns.go; how long a connection may take over anything in tcp.go; how its replies are
// put together in tcp_send.go; what is the same over QUIC in quic.go, handshakes.go, doq.go and
// http3.go.
package listen
