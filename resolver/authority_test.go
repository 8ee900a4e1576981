package resolver_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/resolvertest"
	"pldns/zones"
	"pldns/zones/content"
)

var zoneSeed = flag.Uint64("zone-seed", 1, "what the zones of TestAnswersOfBIND are drawn from")

// signing is how one zone of the test is signed.
type signing struct {
	apex string
	args []string // of dnssec-signzone; nil for no signatures
}

func signings() []signing {
	return []signing{
		{"plain.test.", nil},
		{"nsec.test.", []string{}},
		{"nsec3.test.", []string{"-3", "aabbcc", "-H", "3"}},
		{"optout.test.", []string{"-3", "-", "-H", "0", "-A"}},
	}
}

// TestAnswersOfBIND: BIND serves zones that are drawn at random, with wildcards, delegations,
// DNAMEs and empty non-terminals, unsigned and signed with NSEC and NSEC3; what is answered
// here from copies of them is the same, in every section.
//
// It differs on purpose in three things. Where a name exists only for a delegation that the chain
// of hashes leaves out (opt-out), the wildcard that is denied is that of the encloser that is
// proven (RFC 5155 section 8.4), for BIND that of the name. Where a wildcard that has no records
// itself stands for a name, BIND proves only that the name does not exist, and here follows why
// the wildcard has nothing either. Of ANY, which the test does not ask for, each gives another one of the RRsets.
func TestAnswersOfBIND(t *testing.T) {
	named := resolvertest.Installed(t, "named")
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(*zoneSeed, 7))
	held, asked := make(map[string]content.Copy), make(map[string][]zones.Name)
	var spec []zones.ZoneSpec
	var conf strings.Builder
	for _, s := range signings() {
		text, names := randomZone(r, s.apex)
		file := signed(t, dir, s, text)
		copied, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		apex := zones.NameOf(s.apex)
		zone, err := content.Read(copied, apex)
		_ = copied.Close()
		if err != nil {
			t.Fatal(err)
		}
		held[s.apex], asked[s.apex] = content.Copy{Zone: zone}, names
		spec = append(spec, zones.ZoneSpec{Name: apex, Copy: s.apex})
		fmt.Fprintf(&conf, "zone %q { type primary; file %q; check-names ignore; check-integrity no; };\n", s.apex, file)
	}
	at := startBIND(t, named, dir, conf.String())
	table, err := zones.Build([]zones.NetworkSpec{{Name: "hub", Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}, Zones: spec}})
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := resolver.NewSnapshot(resolver.Options{Table: table, Copies: held})
	if err != nil {
		t.Fatal(err)
	}
	tries := 1500
	if testing.Short() {
		tries = 200
	}
	for _, s := range signings() {
		t.Run(s.apex, func(t *testing.T) { compare(t, r, resolver.New(snapshot), held[s.apex].Zone, at, asked[s.apex], tries) })
	}
}

// compare asks BIND and a resolver the same, so often.
func compare(t *testing.T, r *rand.Rand, ours *resolver.Resolver, zone *content.Zone, at netip.AddrPort, names []zones.Name, tries int) {
	types := []string{"A", "A", "A", "AAAA", "TXT", "MX", "NS", "SOA", "CNAME", "DNAME", "DS", "DNSKEY", "NSEC", "NSEC3PARAM", "RRSIG"}
	udp, err := dns.Dial("udp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	client, overTCP := &dns.Client{Timeout: 5 * time.Second, UDPSize: dns.MaxMsgSize}, &dns.Client{Timeout: 5 * time.Second, Net: "tcp"}
	seen, faults := make(map[string]bool), 0
	for range tries {
		name := names[r.IntN(len(names))]
		for range r.IntN(3) {
			name = name.Under(randomLabel(r, "zz"))
		}
		if _, is := dns.IsDomainName(name.FQDN()); !is {
			continue
		}
		name = zones.NameOf(name.FQDN())
		q := query("10.0.0.1", name.String(), types[r.IntN(len(types))])
		q.RecursionDesired, q.DNSSEC = false, r.IntN(2) == 0
		message := new(dns.Msg).SetQuestion(name.FQDN(), q.Type)
		message.RecursionDesired = false
		message.SetEdns0(dns.MaxMsgSize, q.DNSSEC)
		want, _, err := client.ExchangeWithConn(message, udp)
		if err == nil && want.Truncated {
			want, _, err = overTCP.Exchange(message, at.String())
		}
		if err != nil {
			t.Fatal(err)
		}
		got := ours.Resolve(context.Background(), q).Message(q, false)
		seen[dns.RcodeToString[want.Rcode]+fmt.Sprint(len(want.Answer) > 0, len(want.Ns) > 0)] = true
		if want.Rcode == dns.RcodeServerFailure && len(got.Answer) > 16 {
			continue // BIND follows no more aliases
		}
		if found := zone.Lookup(end(want, name), q.Type, false); found.Kind == content.NoData && found.Owner.IsWildcard() {
			got.Ns = slices.DeleteFunc(slices.Clone(got.Ns), func(rr dns.RR) bool {
				return !slices.ContainsFunc(want.Ns, func(other dns.RR) bool { return dns.IsDuplicate(rr, other) })
			})
		}
		if zone.Apex() == zones.MustName("optout.test") && want.Rcode == dns.RcodeNameError && len(got.Ns) == len(want.Ns) {
			want.Ns = got.Ns
		}
		if !slices.ContainsFunc(want.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeNS }) {
			want.Extra = nil // addresses of servers that nobody is referred to
		}
		if a, b := normal(got), normal(want); a != b {
			t.Errorf("%s %s, DO %t\ngot  %s\nwant %s", name, dns.Type(q.Type), q.DNSSEC, a, b)
			if faults++; faults > 5 {
				t.Fatal("and so on")
			}
		}
	}
	if len(seen) < 4 {
		t.Errorf("the questions led to %v only", seen)
	}
}

// end is the name that an answer ends at.
func end(m *dns.Msg, name zones.Name) zones.Name {
	for range m.Answer {
		for _, rr := range m.Answer {
			if cname, is := rr.(*dns.CNAME); is && zones.NameOf(cname.Hdr.Name) == name {
				name = zones.NameOf(cname.Target)
			}
		}
	}
	return name
}

// normal is what a message says, with the records of each section in one order. Names are in
// the letter case of whatever they were compressed against.
func normal(m *dns.Msg) string {
	var text strings.Builder
	if m.Rcode == dns.RcodeServerFailure { // chains that go round: nothing of them counts
		return "SERVFAIL"
	}
	fmt.Fprintf(&text, "%s AA=%t", dns.RcodeToString[m.Rcode], m.Authoritative)
	for i, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		var all []string
		for _, rr := range section {
			if rr.Header().Rrtype == dns.TypeOPT {
				continue
			}
			all = append(all, strings.ToLower(strings.ReplaceAll(rr.String(), "\t", " ")))
		}
		slices.Sort(all)
		fmt.Fprintf(&text, "\n  %s:\n    %s", []string{"answer", "authority", "additional"}[i], strings.Join(all, "\n    "))
	}
	return text.String()
}

// randomLabel is one of few labels, so that names meet; or another one.
func randomLabel(r *rand.Rand, other string) string {
	return []string{"a", "b", "c", "D", "e-1", "*", "_f", other}[r.IntN(8)]
}

// randomZone draws a zone: its text, and the names that are worth asking for.
func randomZone(r *rand.Rand, apex string) (text string, names []zones.Name) {
	var out strings.Builder
	fmt.Fprintf(&out, "%[1]s 3600 IN SOA ns.%[1]s host.%[1]s 7 3600 600 86400 300\n%[1]s 3600 IN NS ns.%[1]s\nns.%[1]s 60 IN A 10.9.0.53\n", apex)
	names = []zones.Name{zones.NameOf(apex), zones.NameOf("ns." + apex), zones.NameOf("*.wild." + apex)}
	target := func() string {
		switch r.IntN(4) {
		case 0:
			return "www.example.net."
		case 1:
			return "cd.wild." + apex
		}
		return names[r.IntN(len(names))].FQDN()
	}
	fmt.Fprintf(&out, "*.wild.%[1]s 60 IN A 10.9.9.9\n", apex)
	taken := map[string]bool{"ns." + apex: true, apex: true, "*.wild." + apex: true}
	for range 120 {
		name := apex
		for range 1 + r.IntN(4) {
			name = randomLabel(r, fmt.Sprint("g", r.IntN(30))) + "." + name
		}
		if taken[strings.ToLower(name)] {
			continue
		}
		taken[strings.ToLower(name)] = true
		names = append(names, zones.NameOf(name))
		switch kind := r.IntN(20); {
		case kind < 3:
			fmt.Fprintf(&out, "%s 60 IN CNAME %s\n", name, target())
		case kind < 5 && !strings.HasPrefix(name, "*"):
			fmt.Fprintf(&out, "%s 60 IN DNAME %s\n", name, target())
		case kind < 8 && !strings.HasPrefix(name, "*"):
			fmt.Fprintf(&out, "%[1]s 60 IN NS ns.%[1]s\n%[1]s 60 IN NS ns.example.net.\nns.%[1]s 60 IN A 10.9.1.1\n", name)
			if r.IntN(2) == 0 {
				fmt.Fprintf(&out, "%s 60 IN DS 12345 13 2 %064x\n", name, r.Uint64())
			}
			if r.IntN(2) == 0 {
				fmt.Fprintf(&out, "below.%s 60 IN TXT \"occluded\"\n", name)
			}
		default:
			for range 1 + r.IntN(3) {
				fmt.Fprintf(&out, "%s 60 IN A 10.9.%d.%d\n", name, r.IntN(250), r.IntN(250))
			}
			if r.IntN(2) == 0 {
				fmt.Fprintf(&out, "%s 120 IN TXT \"text %d\"\n%s 30 IN MX 10 %s\n", name, r.IntN(9), name, target())
			}
		}
	}
	return out.String(), names
}

// signed is the file of a zone, with signatures if it has some.
func signed(t *testing.T, dir string, s signing, text string) string {
	t.Helper()
	file := filepath.Join(dir, s.apex+"zone")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if s.args == nil {
		return file
	}
	run := func(name string, args ...string) {
		command := exec.CommandContext(t.Context(), resolvertest.Installed(t, name), args...)
		command.Dir = dir
		if said, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, said)
		}
	}
	run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", s.apex)
	run("dnssec-signzone", slices.Concat([]string{"-S", "-z", "-P", "-O", "full", "-o", s.apex, "-f", file + ".signed"}, s.args, []string{file})...)
	return file + ".signed"
}

// startBIND runs a server of zones until the test ends, and gives its address. A port that
// somebody else took in the meantime is one at which this server does not answer: another one
// is tried.
func startBIND(t *testing.T, named, dir, zones string) netip.AddrPort {
	t.Helper()
	for range 5 {
		at := resolvertest.FreeAddr(t)
		secret := fmt.Sprintf("%016x", rand.Uint64())
		file := filepath.Join(dir, "named.conf")
		conf := fmt.Sprintf(`options {
	directory %q; listen-on port %d { %s; }; listen-on-v6 { none; }; version %q;
	recursion no; allow-query { any; }; minimal-responses yes; dnssec-validation no; notify no; zero-no-soa-ttl no;
	edns-udp-size 4096; max-udp-size 4096; pid-file none; session-keyfile none;
};
controls { };
%s`, dir, at.Port(), at.Addr(), secret, zones)
		if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), named, "-g", "-n", "1", "-c", file)
		said := new(bytes.Buffer)
		command.Stdout, command.Stderr = said, said
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = command.Wait(); close(ended) }()
		t.Cleanup(func() { _ = command.Process.Kill(); <-ended })
		if answersAs(t, at, secret, ended) {
			return at
		}
		t.Logf("named said:\n%s", said)
	}
	t.Fatal("BIND does not start")
	return netip.AddrPort{}
}

// answersAs waits until a server tells a secret, or has ended.
func answersAs(t *testing.T, at netip.AddrPort, secret string, ended <-chan struct{}) (is bool) {
	client := &dns.Client{Timeout: 300 * time.Millisecond}
	message := new(dns.Msg).SetQuestion("version.bind.", dns.TypeTXT)
	message.Question[0].Qclass = dns.ClassCHAOS
	resolvertest.Until(t, "BIND answers", func() bool {
		select {
		case <-ended:
			return true
		default:
		}
		reply, _, err := client.Exchange(message, at.String())
		is = err == nil && len(reply.Answer) == 1 && strings.Contains(reply.Answer[0].String(), secret)
		return is || err == nil && !errors.Is(err, os.ErrDeadlineExceeded) && reply.Rcode != dns.RcodeServerFailure
	})
	return is
}
