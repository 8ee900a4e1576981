//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// dot is the mode of the client for DNS over TLS.
const dot = "dot"

// workload is what is asked, and of what kind of server.
type workload struct {
	group, name, about string
	mode               string // of the client
	ready              string // a name that is answered when the server is ready
	warm, queries      string // files
	steady             string // the file of the steady load: other names, where each is asked for once
	local, forward     bool   // what a server must be able to do to take part
	networks           int    // of pldns
	endpoints          int    // in each
}

func workloads() []workload {
	local := func(group, name, about string, networks, endpoints int) workload {
		return workload{group: group, name: name, about: about, mode: "udp", ready: host(1) + ".", local: true,
			warm: "w1", queries: "w1", steady: "w1", networks: networks, endpoints: endpoints}
	}
	forward := func(name, about, queries string) workload {
		w := local(queries, name, about, 3, 1000)
		w.ready, w.warm, w.queries, w.steady, w.local, w.forward = "ready.example.", queries, queries, queries, false, true
		return w
	}
	w4 := forward("W4", "Half W1, 45 % W2, 5 % W3.", "w4")
	w4.local, w4.warm, w4.steady = true, "w4warm", "w4steady"
	w3 := forward("W3", "Names that nobody has asked for, forwarded to a stub on the same machine.", "w3")
	w3.warm, w3.steady = "w3warm", "w3steady"
	w5 := local("w5", "W5", "W1 over TCP, eight connections.", 3, 1000)
	w5.mode = "tcp"
	w5dot := local("w5dot", "W5 over TLS", "W1 over TLS, eight connections; the certificate has an ECDSA key on P-256.", 3, 1000)
	w5dot.mode = dot
	all := []workload{
		local("w1", "W1", "Local answers: 1,000 names, A 80 %, AAAA 20 %; pldns has three networks of 1,000 endpoints.", 3, 1000),
		forward("W2", "10,000 names that were forwarded before.", "w2"),
		w3, w4, w5, w5dot,
	}
	for _, w := range []workload{all[0], w3} {
		w.group, w.name, w.about = "policy", w.name+" with a policy", w.about+" Its network is held to a policy of 10^6 names."
		all = append(all, w)
	}
	for _, n := range []int{1, 100, 1000} {
		all = append(all, local("networks", fmt.Sprintf("W1 with %d networks", n), "As W1; 1,000 endpoints in each network.", n, 1000))
	}
	for _, n := range []int{1000, 10_000, 100_000, 1_000_000} {
		all = append(all, local("endpoints", fmt.Sprintf("W1 with %d endpoints", n), "As W1, in one network; 1,000 of the names are "+
			"asked for.", 1, n))
	}
	cold := local("endpoints", "All of 1000000 endpoints", "Any of a million names, evenly: hardly any is asked for twice.", 1, 1_000_000)
	cold.warm, cold.queries, cold.steady = "spread", "spread", "spread"
	return append(all, cold)
}

// host is the name of an endpoint.
func host(i int) string { return fmt.Sprintf("r%d.database.windows.net", i) }

// address is its address.
func address(network, i int) string {
	return fmt.Sprintf("10.%d.%d.%d", (network+i>>16)&0xFF, i>>8&0xFF, i&0xFF)
}

// writeInputs writes the files that dnsperf reads.
func writeInputs(dir string) error {
	random := rand.New(rand.NewPCG(1, 1))
	local := func() string {
		return host(1+random.IntN(1000)) + map[bool]string{true: " AAAA", false: " A"}[random.IntN(5) == 0]
	}
	hot := func() string { return fmt.Sprintf("h%d.example A", random.IntN(10_000)) }
	unique := 0
	cold := func() string { unique++; return fmt.Sprintf("u%d.example A", unique) }
	mixed := func() string {
		switch at := random.IntN(100); {
		case at < 50:
			return local()
		case at < 95:
			return hot()
		default:
			return cold()
		}
	}
	for _, file := range []struct {
		name  string
		lines int
		line  func() string
	}{
		{"w1", 20_000, local}, {"w2", 50_000, hot}, {"w3warm", 20_000, cold}, {"w3", 600_000, cold}, {"w3steady", 400_000, cold},
		{"w4warm", 200_000, mixed}, {"w4", 1_000_000, mixed}, {"w4steady", 400_000, mixed},
		{"spread", 1_000_000, func() string { return host(1+random.IntN(1_000_000)) + " A" }},
	} {
		var text strings.Builder
		for range file.lines {
			text.WriteString(file.line() + "\n")
		}
		if err := os.WriteFile(filepath.Join(dir, file.name), []byte(text.String()), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// pldnsConfig is the configuration of pldns. The client of the bench is in the
// first network. It stands for a crowd, so the limits are as high as can be; they are
// counted all the same, as where pldns serves.
func pldnsConfig(w workload) string {
	var text strings.Builder
	fmt.Fprintf(&text, "[listen]\ndns = [\"127.0.0.1:%d\"]\nadmin = \"127.0.0.1:5398\"\n", serverPort)
	if w.mode == dot {
		fmt.Fprintf(&text, "dot = [\"127.0.0.1:%d\"]\n[tls]\ncert = \"tls.crt\"\nkey = \"tls.key\"\n", tlsPort)
	}
	text.WriteString("[limit]\nlisted = 1000000\nresponses = 1000000\nexempt = []\n")
	fmt.Fprintf(&text, "[upstreams.stub]\nservers = [\"127.0.0.1:%d\"]\n[forward]\n\".\" = \"stub\"\n", stubPort)
	for n := range w.networks {
		clients := "127.0.0.0/8"
		if n > 0 {
			clients = fmt.Sprintf("10.%d.%d.0/24", n>>8, n&0xFF)
		}
		fmt.Fprintf(&text, "[networks.n%d]\nclients = [\"%s\"]\n[networks.n%d.endpoints]\n", n, clients, n)
		for i := 1; i <= w.endpoints; i++ {
			fmt.Fprintf(&text, "\"%s\" = \"%s\"\n", host(i), address(n, i))
		}
	}
	return text.String()
}

// heldToPolicy is [pldnsConfig] with the client's network held to a policy of a million names,
// none of which is asked for.
func heldToPolicy(dir string, w workload) (string, error) {
	var text strings.Builder
	for i := range uint32(1_000_000) {
		fmt.Fprintf(&text, "||track-%08x.ads.test^\n", i*2654435761)
	}
	file := filepath.Join(dir, "policy.txt")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return "", err
	}
	if err := aged(file); err != nil {
		return "", err
	}
	config := strings.Replace(pldnsConfig(w), "[networks.n0]\n", "[networks.n0]\npolicy = [\"million\"]\n", 1)
	return config + fmt.Sprintf("[policy.million]\nfiles = [%q]\n", file), nil
}

// zoneFile is the zone of W1 for servers of zones: a public name is an alias of
// its private name, as in the answers of pldns.
func zoneFile() string {
	var text strings.Builder
	text.WriteString("$ORIGIN database.windows.net.\n$TTL 10\n@ IN SOA ns nobody 1 3600 1200 604800 10\n@ IN NS ns\nns IN A 127.0.0.1\n")
	for i := 1; i <= 1000; i++ {
		fmt.Fprintf(&text, "r%d IN CNAME r%d.privatelink\nr%d.privatelink IN A %s\n", i, i, i, address(0, i))
	}
	return text.String()
}
