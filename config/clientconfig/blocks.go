package clientconfig

import (
	"fmt"
	"strings"

	"pldns/zones"
)

// The files in templates are texts with gaps such as {{zones}}, and this file says
// what goes into the gaps. It is no template language on purpose: package
// text/template makes the linker keep every method of every type of the program, a
// sixth of its size.

// gaps gives what is put into the gaps of a file.
func (p page) gaps(file string) map[string]string {
	all := map[string]string{"owner": p.Owner, "example": p.Example()}
	for gap, text := range p.blocks(file) {
		all[gap] = text
	}
	return all
}

// blocks are the gaps that are filled from servers and zones.
func (p page) blocks(file string) map[string]string {
	addresses, sockets := func(form, between string) string {
		return each(p.Servers, between, func(s server) string { return fmt.Sprintf(form, s.Addr) })
	}, func(form string) string {
		return each(p.Servers, " ", func(s server) string { return fmt.Sprintf(form, s.Socket()) })
	}
	names := func(form, between string) string {
		return each(p.Forwarded, between, func(z zones.Name) string { return fmt.Sprintf(form, z) })
	}
	switch file {
	case "bind":
		return map[string]string{"zones": p.bindZones()}
	case "bind-options":
		return map[string]string{"zones": names("\t\"%s\";", "\n")}
	case "coredns":
		return map[string]string{"zones": names("%s", ",\n"), "servers": each(p.Servers, " ", server.Full)}
	case "dnsmasq":
		return map[string]string{"zones": p.dnsmasqZones()}
	case "macos":
		return map[string]string{"servers": addresses("nameserver %s", "\n"), "port": fmt.Sprint(p.Servers[0].Port), "zones": names("  add '%s'", "\n")}
	case "nrpt":
		return map[string]string{"servers": addresses("    '%s'", "\n"), "zones": each(p.Namespaces(), "\n", func(n string) string { return "    '" + n + "'" })}
	case "openvpn":
		return map[string]string{"servers": sockets("%s"), "zones": names("push \"dns server 0 resolve-domains %s\"", "\n")}
	case "resolved":
		return map[string]string{"servers": each(p.Servers, "\n", func(s server) string { return "DNS=" + s.Socket() }), "zones": names("Domains=~%s", "\n")}
	case "ruleset", "ruleset-bicep":
		return p.rulesetBlocks(file == "ruleset-bicep")
	case "unbound":
		return p.unboundBlocks()
	case "windows-dns":
		return map[string]string{"servers": addresses("    '%s'", "\n"), "zones": names("    '%s'", "\n")}
	case "wireguard":
		return map[string]string{"addresses": addresses("%s", ", "), "servers": sockets("'%s'"), "zones": names("'~%s'", " ")}
	}
	return nil
}

// each writes every item of a list, with something between them.
func each[T any](list []T, between string, write func(T) string) string {
	texts := make([]string, len(list))
	for i, item := range list {
		texts[i] = write(item)
	}
	return strings.Join(texts, between)
}

func (p page) bindZones() string {
	servers := each(p.Servers, "", func(s server) string { return fmt.Sprintf(" %s port %d;", s.Addr, s.Port) })
	return each(p.Forwarded, "\n", func(z zones.Name) string {
		return fmt.Sprintf("zone %q {\n\ttype forward;\n\tforward only;\n\tforwarders {%s };\n};", z.String(), servers)
	})
}

func (p page) dnsmasqZones() string {
	return each(p.Forwarded, "\n", func(z zones.Name) string {
		return each(p.Servers, "", func(s server) string { return fmt.Sprintf("server=/%s/%s#%d\n", z, s.Addr, s.Port) }) +
			fmt.Sprintf("rebind-domain-ok=/%s/", z)
	})
}

func (p page) rulesetBlocks(bicep bool) map[string]string {
	if bicep {
		return map[string]string{
			"servers": each(p.Servers, "\n", func(s server) string {
				return fmt.Sprintf("  {\n    ipAddress: '%s'\n    port: %d\n  }", s.Addr, s.Port)
			}),
			"rules": each(p.Rules, "\n", func(r rule) string {
				return fmt.Sprintf("  {\n    rule: '%s'\n    domain: '%s'\n  }", r.Name, r.Domain)
			}),
		}
	}
	return map[string]string{
		"servers": each(p.Servers, ",", func(s server) string {
			return fmt.Sprintf(`{"ip-address":"%s","port":%d}`, s.Addr, s.Port)
		}),
		"rules": each(p.Rules, "\n", func(r rule) string { return fmt.Sprintf("rule %s '%s'", r.Name, r.Domain) }),
	}
}

func (p page) unboundBlocks() map[string]string {
	options := func(form string) string {
		return each(p.Forwarded, "\n", func(z zones.Name) string { return fmt.Sprintf(form, z.FQDN()) })
	}
	blocks := map[string]string{
		"insecure": options("    domain-insecure: %q"), "private": options("    private-domain: %q"), "special": "", "local": "",
		"zones": each(p.Forwarded, "\n", func(z zones.Name) string {
			return fmt.Sprintf("forward-zone:\n    name: %q\n", z.FQDN()) +
				each(p.Servers, "", func(s server) string { return fmt.Sprintf("    forward-addr: %s@%d\n", s.Addr, s.Port) }) +
				"    forward-first: no"
		}),
	}
	if special := p.Special(); len(special) > 0 {
		blocks["special"] = "\n    # Unbound answers names like these itself unless it is told not to.\n" +
			each(special, "\n", func(z zones.Name) string { return fmt.Sprintf("    local-zone: %q transparent", z.FQDN()) })
	}
	if p.Local {
		blocks["local"] = "\n    # The resolver is on this machine, where Unbound sends nothing unless it is told to.\n" +
			"    do-not-query-localhost: no"
	}
	return blocks
}
