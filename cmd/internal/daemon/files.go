package daemon

// files says how many file descriptors the parts of the process may take, so that
// none takes those that another needs.
type files struct {
	limit       int // of the process; 0 where the system has none
	connections int // of clients over TCP, TLS and HTTPS
	admin       int // of operators
}

const (
	// mostConnections and mostAdmin are what is enough, however many there may be.
	mostConnections = 4096
	mostAdmin       = 128
)

// shareFiles shares the file descriptors of the process out: half of them to the
// connections of clients, a sixteenth to those of operators. The rest is for sockets
// towards upstreams, of which there are a quarter at most, for listeners, and for files.
func shareFiles(limit int) files {
	if limit <= 0 {
		return files{connections: mostConnections, admin: mostAdmin}
	}
	return files{limit: limit, connections: max(1, min(mostConnections, limit/2)), admin: max(4, min(mostAdmin, limit/16))}
}
