package doctor

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"pldns/cmd/internal/routes"
	"pldns/zones"
	"pldns/zones/azure"
)

// DefaultLimit is how many endpoints are connected to at once where the
// configuration does not say.
const DefaultLimit = 32

// Target is one mapping to verify.
type Target struct {
	Network   string
	Name      zones.Name
	Addresses []netip.Addr
	Port      uint16 // 0 is the port of the catalogue
}

// VerifyConfig says how to verify.
type VerifyConfig struct {
	// Catalogue must not be nil.
	Catalogue *azure.Catalogue
	// Roots certify the certificates; nil are those of the system.
	Roots *x509.CertPool
	// Timeout bounds the connection and the handshake, each; 0 is DefaultTimeout.
	Timeout time.Duration
	// Limit is how many addresses are connected to at once; 0 is DefaultLimit.
	Limit int
	// Now is the clock that certificates are judged by; nil is time.Now. It may be
	// called by several goroutines at once.
	Now func() time.Time
	// Routes are those of the operating system; nil leaves out all that is about the
	// way to an address.
	Routes RouteTable
	// Progress is told how many of all addresses are done, one call at a time; nil
	// is nobody.
	Progress func(done, all int)
}

// Result is what was found at one address of a target.
type Result struct {
	Network  string         `json:"network"`
	Name     string         `json:"name"`
	Address  netip.AddrPort `json:"address"`
	Protocol Protocol       `json:"protocol"`
	Verdict  Verdict        `json:"verdict"`
	Seen     string         `json:"seen"`
	Remedy   string         `json:"remedy,omitempty"`
	// Cause is why packets get lost, where the way to the address is the reason.
	Cause Cause `json:"cause,omitempty"`
	// Route is how packets to the address leave.
	Route *routes.Route `json:"route,omitempty"`
	// SwappedWith is the mapping that this one was exchanged with.
	SwappedWith string `json:"swapped_with,omitempty"`
}

// Verify connects to every address of every target, from where it runs, and holds
// the certificate there against the name. The results are in the order of the
// targets. A wildcard has no name to hold a certificate against: it is only
// connected to. Two mappings of one network whose certificates are each other's
// are reported as swapped; where one certificate covers both names, as
// *.database.windows.net does, that cannot be seen. Where the way to an address is why
// it is not reached, the result says which cause that has. It ends soon after the context
// does, with what is left marked as skipped.
func Verify(ctx context.Context, config VerifyConfig, targets []Target) []Result {
	config.Timeout = cmp.Or(config.Timeout, DefaultTimeout)
	config.Limit = cmp.Or(config.Limit, DefaultLimit)
	if config.Now == nil {
		config.Now = time.Now
	}
	visits, distinct := plan(config.Catalogue, targets)
	config.visit(ctx, distinct)
	seat := newSeat(config.Routes, nil, runtime.GOOS, true)
	seat.walk(distinct)
	swaps := findSwaps(visits)
	results := make([]Result, len(visits))
	for i, v := range visits {
		results[i] = config.result(v, swaps[i])
		if config.Routes != nil {
			seat.tell(&results[i], v.visit)
		}
	}
	return results
}

// visited is an address with what is to be found there.
type visited struct {
	name     zones.Name
	to       netip.AddrPort
	protocol Protocol
}

// visit is what came of going there.
type visit struct {
	visited
	skipped bool  // nobody went
	refused error // there is no connection
	look    look
	way     way
}

// came is what the visit says of the way. A wildcard has no certificate that could
// tell who answers.
func (v *visit) came() outcome {
	switch {
	case v.skipped:
		return unclear
	case v.refused != nil:
		return outcomeOf(v.refused)
	case v.name.IsWildcard():
		return reached
	default:
		return v.look.came()
	}
}

// mapping is a visit on behalf of a network.
type mapping struct {
	network string
	*visit
}

// plan lists the visits for the targets. What several networks map alike is
// visited once.
func plan(catalogue *azure.Catalogue, targets []Target) (mappings []mapping, distinct []*visit) {
	known := make(map[visited]*visit)
	for _, target := range targets {
		service := ServiceOf(catalogue, target.Name).At(target.Port)
		for _, addr := range target.Addresses {
			key := visited{target.Name, netip.AddrPortFrom(addr, service.Port), service.Protocol}
			v := known[key]
			if v == nil {
				v = &visit{visited: key, skipped: true}
				known[key] = v
				distinct = append(distinct, v)
			}
			mappings = append(mappings, mapping{target.Network, v})
		}
	}
	return mappings, distinct
}

// visit goes to all addresses, a bounded number of them at once.
func (c VerifyConfig) visit(ctx context.Context, visits []*visit) {
	var group errgroup.Group
	group.SetLimit(c.Limit)
	var told sync.Mutex
	done := 0
	for _, v := range visits {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			c.goTo(ctx, v)
			if c.Progress != nil {
				told.Lock()
				defer told.Unlock()
				done++
				c.Progress(done, len(visits))
			}
			return nil
		})
	}
	_ = group.Wait() // faults are kept in the visits
}

func (c VerifyConfig) goTo(ctx context.Context, v *visit) {
	conn, err := dial(ctx, v.to, c.Timeout)
	switch {
	case err != nil:
		v.refused = err
	case v.name.IsWildcard():
		conn.Close()
	default:
		shown, err := handshake(ctx, conn, v.protocol, v.name, c.Timeout)
		v.look = newLook(shown, err, v.name, c.Roots, c.Now())
	}
	v.skipped = ctx.Err() != nil
}

// result puts a visit into words.
func (c VerifyConfig) result(m mapping, swap swap) Result {
	r := Result{Network: m.network, Name: m.name.String(), Address: m.to, Protocol: m.protocol}
	switch {
	case m.skipped:
		r.Verdict, r.Seen = Skipped, "it was not looked at"
	case m.refused != nil:
		r.Verdict = Fail
		r.Seen, r.Remedy = dialFault(m.to, m.refused, c.Timeout)
	case m.name.IsWildcard():
		r.Verdict = Note
		r.Seen = fmt.Sprintf("%s accepts connections; a wildcard has no name to hold a certificate against", m.to)
		r.Remedy = "run pldns doctor with a name that the wildcard covers"
	default:
		step := m.look.step(c.Catalogue, m.name, m.protocol, c.Timeout)
		r.Verdict, r.Seen, r.Remedy = step.Verdict, step.Seen, step.Remedy
		swap.tell(&r)
	}
	r.Seen, r.Remedy = clean(r.Seen, maxText), clean(r.Remedy, maxText)
	return r
}
