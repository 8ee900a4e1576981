package upstream

import "time"

// The stock of sockets. To open a socket for each query, and to close it again,
// costs more than all the rest of asking. So a server that is asked often is asked
// over sockets that are there already: each query takes one of stockSize places at
// random, and only if there is no socket in it yet, or one that is worn, opens one
// on a port drawn from all (see minPort).
//
// What a forger has to guess for one query (RFC 5452 section 4): the id, 16 bits;
// the letter case of the name, one bit for each letter; the server's cookie, if it
// has one; and the port. As long as he does not know which ports are in the stock,
// that is one of some 49,000, 15.6 bits, no less than with a socket for each query:
// any port is as likely as any other to be in it, and any place as likely to be
// taken. If he knew all of them, he would still have to guess the place: 10 bits in
// a full stock. To know them takes seeing the queries, and who sees those need not
// guess at all. To find them by probing takes packets that claim to come from the
// server, because the sockets are connected and the kernel answers nobody else;
// and it has to be done before the sockets are worn, after socketUses queries or
// socketLife. A socket to which a strange packet comes is worn at once.
//
// A query takes a place that no other query waits at, as long as it finds one, so
// that a forger who floods one port has one question to hit.
const (
	// stockSize is how many places the stock of a server has; a power of two. It
	// is less if the system allows the process few files.
	stockSize = 1024
	// stockDraws is how many places a query draws before it takes one where another
	// query waits.
	stockDraws = 4
	// socketUses is how many queries a socket is good for, and socketLife for how
	// long. An idle stock is empty again soon after.
	socketUses = 64
	socketLife = time.Minute
)
