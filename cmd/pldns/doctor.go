package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"pldns/cmd/internal/doctor"
	"pldns/cmd/internal/nameservers"
	"pldns/cmd/internal/routes"
	"pldns/cmd/internal/vpn"
	"pldns/resolver"
	"pldns/zones"
	"pldns/zones/azure"
)

// doctorFlags are the flags of doctor.
type doctorFlags struct {
	server, public, protocol, ca string
	way                          serverFlags
	port                         uint16
	vpn                          []string
	timeout                      time.Duration
	direct, asJSON               bool
}

// machine is what doctor sees of the operating system.
type machine struct {
	lookup      doctor.HostLookup
	nameservers func(name string) []netip.AddrPort // that are asked about a name; none where it does not say
	routes      doctor.RouteTable
	profiles    func(context.Context) []vpn.Profile // of its VPN clients
}

// newDoctor makes the command for this machine, whose programs ask as they are
// built to.
func newDoctor() *cobra.Command {
	asked := func(name string) []netip.AddrPort {
		servers, err := nameservers.For(name)
		if err != nil {
			return nil
		}
		return servers
	}
	return newDoctorAt(machine{lookup: new(net.Resolver), nameservers: asked, routes: routes.System{}, profiles: vpn.Find})
}

// newDoctorAt makes the command for a machine.
func newDoctorAt(here machine) *cobra.Command {
	var flags doctorFlags
	command := &cobra.Command{
		Use:   "doctor NAME",
		Short: "Find out, at a client, why a private endpoint is not reached",
		Long: `Doctor is run at a client. It asks the operating system and the DNS server about
a name, finds the first place where the privatelink alias is lost, looks at the
way to the private address and whether that leads into the tunnel of a VPN,
connects there, and holds the certificate against the real name, as the clients
of the service would: over TLS at once, or after the preface of SQL Server,
PostgreSQL or MySQL. Each step is one line with a verdict (ok, fail, note or
skipped), what was seen, and what to do. It exits with 1 if a step fails.

The server is asked over UDP and TCP; --transport has it asked over others: udp,
tcp, dot, doh, doq, h3, or all. Then the certificate of the server is judged, and
doctor asks the server for the encrypted ways to it, as clients do that upgrade
themselves (RFC 9462), and tries those. What stands in the way has a name that
stays, too: port-closed, port-filtered, udp-blocked, handshake-timeout,
certificate-name, certificate-no-address, path-not-found, no-network and others,
which README.md lists.

Which routes the VPN was assigned it reads in the log or the profile of the Azure
VPN Client, of OpenVPN or of WireGuard, where these usually are, and in the
output of wg; --vpn names other files. The cause of a wrong way has a name that
stays: no-route, no-tunnel, tunnel-down, tunnel-silent, route-not-applied,
not-in-allowed-ips, peering-without-transit, way-back-missing or overlap.`,
		Example: `  pldns doctor mydb.database.windows.net
  pldns doctor mydb.database.windows.net --server 10.0.0.4
  pldns doctor mydb.database.windows.net --server 10.0.0.4 --transport all --server-name dns.contoso.net
  pldns doctor api.contoso.com --port 8443 --ca contoso.pem
  pldns doctor mydb.database.windows.net --vpn AzureVpnCxn.log --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			name, err := doctorName(args[0])
			if err != nil {
				return err
			}
			config, err := flags.config(command.Context(), here, name)
			if err != nil {
				return err
			}
			return runDoctor(command, config, name, flags.asJSON)
		},
	}
	jsonFlag(command, &flags.asJSON)
	set := command.Flags()
	set.StringVar(&flags.server, "server", "", "the `address` of pldns, with a port unless it is 53; without it, the first nameserver "+
		"of the system")
	set.StringVar(&flags.public, "public", "", "the `address` of a public resolver to compare with; without it, none is asked")
	set.Uint16Var(&flags.port, "port", 0, "the `port` of the service; without it, that of the catalogue, else 443")
	set.StringVar(&flags.protocol, "protocol", "", "the `protocol` that is spoken there: tls, tds, postgres or mysql; without it, what "+
		"the port says")
	set.BoolVar(&flags.direct, "direct", false, "do not ask the operating system, as before clients are pointed at a server")
	set.StringSliceVar(&flags.vpn, "vpn", nil, "a `file` that the VPN client wrote: a log, a profile, or the output of wg show; without "+
		"it, those that are found")
	oneOf(command, "protocol", doctor.TLS, doctor.SQLServer, doctor.PostgreSQL, doctor.MySQL)
	flags.way.register(command)
	proofFlags(command, &flags.ca, &flags.timeout)
	return command
}

// serverFlags are those of how a DNS server is asked.
type serverFlags struct {
	transports       []string
	serverName, path string
}

func (f *serverFlags) register(command *cobra.Command) {
	set := command.Flags()
	set.StringSliceVar(&f.transports, "transport", nil, "what the server is asked over: udp, tcp, dot, doh, doq, h3 or all, each with a "+
		":PORT if it is an unusual one")
	oneOf(command, "transport", append(shorts(), "all")...)
	set.StringVar(&f.serverName, "server-name", "", "the TLS server `name` or HTTP host to ask for")
	set.StringVar(&f.path, "path", "", "the `network` after /dns-query/ in the URL to ask")
}

// shorts are the transports as users write them.
func shorts() (all []string) {
	for _, transport := range resolver.Transports() {
		all = append(all, transport.Short())
	}
	return all
}

// put puts the flags into what doctor takes.
func (f *serverFlags) put(c *doctor.Config) error {
	for _, text := range f.transports {
		if text == "all" {
			c.Transports = append(c.Transports, doctor.EveryTransport()...)
			continue
		}
		over, err := doctor.ParseOver(text)
		if err != nil {
			return fmt.Errorf("--transport: %w, or all", err)
		}
		c.Transports = append(c.Transports, over)
	}
	if f.serverName != "" {
		name, err := zones.ParseName(f.serverName)
		if err != nil {
			return fmt.Errorf("--server-name: %w", err)
		}
		c.ServerName = name
	}
	c.Path = f.path
	return nil
}

// proofFlags adds the flags that doctor and verify share.
func proofFlags(command *cobra.Command, ca *string, timeout *time.Duration) {
	command.Flags().StringVar(ca, "ca", "", "a PEM `file` of further roots to trust")
	command.Flags().DurationVar(timeout, "timeout", doctor.DefaultTimeout, "the `time` that each step may take")
}

// doctorName reads the name to examine.
func doctorName(text string) (zones.Name, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return zones.Name{}, fmt.Errorf("%s is an address, which no certificate is for: give the real name, such as "+
			"mydb.database.windows.net", addr)
	}
	name, err := zones.ParseName(text)
	switch {
	case err != nil:
		return zones.Name{}, fmt.Errorf("%w: give the name of a resource, such as mydb.database.windows.net", err)
	case name.IsWildcard() || name.IsRoot():
		return zones.Name{}, fmt.Errorf("%s is no name of a resource: give one, such as mydb.database.windows.net", name)
	}
	return name, nil
}

// config turns the flags into what doctor takes.
func (f doctorFlags) config(ctx context.Context, here machine, name zones.Name) (doctor.Config, error) {
	c := doctor.Config{Catalogue: azure.New(), Port: f.port, Timeout: f.timeout, Routes: here.routes}
	var err error
	if c.Server, err = serverFlag("server", f.server); err != nil {
		return c, err
	}
	if err = f.way.put(&c); err != nil {
		return c, err
	}
	if c.Public, err = serverFlag("public", f.public); err != nil {
		return c, err
	}
	if f.protocol != "" {
		if c.Protocol, err = doctor.ParseProtocol(f.protocol); err != nil {
			return c, fmt.Errorf("--protocol: %w", err)
		}
	}
	if c.Roots, err = rootsOf(f.ca, f.timeout); err != nil {
		return c, err
	}
	if c.Profiles, err = f.profiles(ctx, here); err != nil {
		return c, err
	}
	named := here.nameservers(name.String())
	if !f.direct {
		c.System, c.Nameservers = here.lookup, named
	} else if !c.Server.IsValid() && len(named) > 0 {
		c.Server = named[0]
	}
	return c, nil
}

// profiles are what the named files say of VPN clients, else what is found.
func (f doctorFlags) profiles(ctx context.Context, here machine) ([]vpn.Profile, error) {
	if len(f.vpn) == 0 {
		return here.profiles(ctx), nil
	}
	var all []vpn.Profile
	for _, file := range f.vpn {
		profiles, err := vpn.File(file)
		if err != nil {
			return nil, failing(fmt.Errorf("--vpn: %w", err))
		}
		all = append(all, profiles...)
	}
	return all, nil
}

// serverFlag reads the address of a DNS server; port 53 needs not be written.
func serverFlag(name, text string) (netip.AddrPort, error) {
	if text == "" {
		return netip.AddrPort{}, nil
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(addr, 53), nil
	}
	server, err := netip.ParseAddrPort(text)
	if err != nil || server.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("--%s %s: write an IP address, with a port if it is not 53: 10.0.0.4, 10.0.0.4:5353 or "+
			"[fd00::4]:5353", name, text)
	}
	return server, nil
}

// rootsOf are the roots of the system and those of a file; nil, which are those of
// the system, without a file. It also refuses a time that is none.
func rootsOf(file string, timeout time.Duration) (*x509.CertPool, error) {
	if timeout <= 0 {
		return nil, fmt.Errorf("--timeout %s: write a time such as 3s", timeout)
	}
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, failing(fmt.Errorf("--ca: %w", err))
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // the file may be all that is needed
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, failing(fmt.Errorf("--ca %s: there is no certificate in it: give a file in PEM form", file))
	}
	return roots, nil
}

// runDoctor examines a name and prints each step when it has ended.
func runDoctor(command *cobra.Command, config doctor.Config, name zones.Name, asJSON bool) error {
	return reportDoctor(command, asJSON, func(told func(doctor.Step)) doctor.Report {
		config.Told = told
		return doctor.Examine(command.Context(), config, name)
	})
}

// reportDoctor prints each step of an examination when it has ended, or all as JSON.
func reportDoctor(command *cobra.Command, asJSON bool, examine func(told func(doctor.Step)) doctor.Report) error {
	out := command.OutOrStdout()
	var written error
	var told func(doctor.Step)
	if !asJSON {
		told = func(step doctor.Step) { written = errors.Join(written, printStep(out, step)) }
	}
	report := examine(told)
	if asJSON {
		written = printJSON(out, report)
	}
	switch {
	case written != nil:
		return failing(written)
	case !report.OK:
		return errNo
	}
	return nil
}

func printStep(w io.Writer, step doctor.Step) error {
	_, err := fmt.Fprintf(w, "%-8s %-12s %s\n", step.Verdict, step.Name, withRemedy(withCause(step.Cause, step.Seen), step.Remedy))
	return err
}

// withCause puts the name of a cause before what was seen.
func withCause(cause doctor.Cause, seen string) string {
	if cause == "" {
		return seen
	}
	return fmt.Sprintf("%s: %s", cause, seen)
}

// withRemedy puts what was seen and what to do about it into one line.
func withRemedy(seen, remedy string) string {
	if remedy == "" {
		return seen
	}
	return seen + " -> " + remedy
}
