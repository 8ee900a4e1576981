package doctor

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"pldns/cmd/internal/vpn"
	"pldns/zones"
	"pldns/zones/azure"
)

// DefaultTimeout bounds each step where the configuration does not.
const DefaultTimeout = 3 * time.Second

// maxAddresses is how many addresses of a name are connected to.
const maxAddresses = 8

// Config says from where and how to look.
type Config struct {
	// Catalogue must not be nil.
	Catalogue *azure.Catalogue
	// Server is the DNS server that is asked directly. The zero value is the first
	// of Nameservers; if there is none, these steps are skipped.
	Server netip.AddrPort
	// System is what the operating system answers. Nil skips that step, and all
	// that compares with it.
	System HostLookup
	// Nameservers are those that the operating system names, in its order.
	Nameservers []netip.AddrPort
	// Public is a resolver that knows nothing of private endpoints, to compare
	// with. The zero value asks none.
	Public netip.AddrPort
	// Transports are what the server is asked over; nil is UDP and TCP.
	Transports []Over
	// ServerName is the name that the server is asked for where it shows a certificate. The
	// zero value is the one that the server tells of itself (RFC 9462), else its address.
	ServerName zones.Name
	// Path follows [zones.DoHPath] in the URL of HTTPS; empty is what the server tells of
	// itself, else nothing.
	Path string
	// Port is where the service listens; 0 is the port of the catalogue.
	Port uint16
	// Protocol is what it speaks; empty is what the port or the catalogue says.
	Protocol Protocol
	// Roots certify the certificates; nil are those of the system.
	Roots *x509.CertPool
	// Timeout bounds each step; 0 is DefaultTimeout.
	Timeout time.Duration
	// OS is the operating system that remedies are worded for, by its GOOS; empty is
	// the one this runs on.
	OS string
	// Now is the clock that certificates are judged by; nil is time.Now. It may be
	// called by several goroutines at once.
	Now func() time.Time
	// Routes are those of the operating system; nil leaves out all that is about the
	// way to an address.
	Routes RouteTable
	// Profiles are what the VPN clients of this machine say.
	Profiles []vpn.Profile
	// Told is told each step when it has ended; nil is nobody.
	Told func(Step)
}

func (c Config) withDefaults() Config {
	if !c.Server.IsValid() && len(c.Nameservers) > 0 {
		c.Server = c.Nameservers[0]
	}
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.OS = cmp.Or(c.OS, runtime.GOOS)
	if len(c.Transports) == 0 {
		c.Transports = usual()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Examine finds out whether a client ends at the right address of a name, by the
// right way and with a valid certificate, and where it goes wrong if it does not. Each step has one
// cause to report: what follows from an earlier fault is skipped. It ends within
// ten times the timeout, and soon after the context does.
func Examine(ctx context.Context, config Config, name zones.Name) Report {
	e := &examination{Config: config.withDefaults(), name: name}
	service := ServiceOf(e.Catalogue, name).At(e.Port)
	service.Protocol = cmp.Or(e.Protocol, service.Protocol)
	e.report = Report{
		Name: name.String(), Service: service.Title, Port: service.Port, Protocol: service.Protocol,
		Steps: []Step{}, OK: true,
	}
	if e.Server.IsValid() {
		e.report.Server = e.Server.String()
	}
	e.askSystem(ctx)
	e.askServer(ctx)
	e.compareFamilies()
	e.findAlias(ctx)
	e.askPublic(ctx)
	e.connect(ctx)
	return e.report
}

// examination is one run of [Examine].
type examination struct {
	Config
	name    zones.Name
	report  Report
	system  []netip.Addr // what the operating system answers; nil where it does not
	asked   []heard      // what the server answers, by transport
	server  answer       // the first of them that is whole
	served  bool         // the server gave a reply
	finding Finding      // what that reply says

	designated  []designation // that the server tells of
	designation Step          // and what it says of it
	contacts    map[approach]contact
	lookedTCP   sync.Once
	overTCP     netip.AddrPort // where the server answers over TCP, if it was looked for
}

// add ends a step.
func (e *examination) add(step Step) {
	step.Seen, step.Remedy = clean(step.Seen, maxText), clean(step.Remedy, maxText)
	e.report.Steps = append(e.report.Steps, step)
	e.report.OK = e.report.OK && step.Verdict != Fail
	if e.Told != nil {
		e.Told(step)
	}
}

// askSystem asks the operating system, as every program does.
func (e *examination) askSystem(ctx context.Context) {
	step := Step{Name: "system"}
	if e.System == nil {
		step.Verdict, step.Seen = Skipped, "the operating system is not asked"
		e.add(step)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	addrs, err := e.System.LookupNetIP(ctx, "ip", e.name.String())
	if err != nil {
		step.Verdict = Fail
		step.Seen, step.Remedy = systemFault(err, e.Timeout)
	} else {
		for _, addr := range addrs {
			e.system = append(e.system, addr.Unmap())
		}
		slices.SortFunc(e.system, netip.Addr.Compare)
		e.system = slices.Compact(e.system)
		step.Verdict, step.Seen, step.Addresses = OK, "the operating system answers "+list(e.system), e.system
	}
	if len(e.Nameservers) > 0 {
		step.Seen += "; its nameservers are " + list(e.Nameservers)
	}
	e.add(step)
}

// compareFamilies looks for public IPv6 addresses beside private IPv4 ones: a
// client with IPv6 takes those (RFC 8305).
func (e *examination) compareFamilies() {
	switch {
	case !e.served || e.finding.Kind == NoAddress:
	case e.leaksIPv6():
		e.add(Step{
			Name: "ipv6", Verdict: Fail, Addresses: e.server.public6,
			Seen: fmt.Sprintf("public IPv6 addresses (%s) stand beside the private ones, and clients with IPv6 prefer them",
				list(e.server.public6)),
			Remedy: "ask a server that owns the name for every type, as pldns does for a mapped name",
		})
	case e.finding.Kind == Private:
		e.add(Step{Name: "ipv6", Verdict: OK, Seen: "no public IPv6 address stands beside the private ones"})
	}
}

// leaksIPv6 tells whether all public addresses beside the private ones are IPv6.
func (e *examination) leaksIPv6() bool {
	public := 0
	for _, addr := range e.server.addresses() {
		if !zones.IsPrivate(addr) {
			public++
		}
	}
	return e.finding.Kind == Mixed && public == len(e.server.public6)
}

// list writes things one after another.
func list[T fmt.Stringer](things []T) string {
	texts := make([]string, len(things))
	for i, thing := range things {
		texts[i] = thing.String()
	}
	return strings.Join(texts, ", ")
}
