package config

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"pldns/zones"
)

// probes reads how everything that is probed is probed.
func (l *loader) probes(root table, files files) {
	t, _ := root.sub("probe")
	t.only("interval", "timeout", "fall", "rise", "ca", "egress")
	l.readEgress(t)
	l.config.Probe = Probe{
		Interval: t.duration("interval", defaultProbeInterval, minProbeInterval, maxProbeInterval),
		Timeout:  t.duration("timeout", defaultProbeTimeout, minProbeInterval, maxProbeTimeout),
		Fall:     t.integer("fall", defaultProbeFall, 1, maxProbeStreak),
		Rise:     t.integer("rise", defaultProbeRise, 1, maxProbeStreak),
	}
	p := &l.config.Probe
	p.Roots = l.authorities(t, "ca", "private-ca.pem", "the certificates of your endpoints", &p.CA, files, systemRoots)
}

// probeSettings is how the addresses of one mapping are probed, before it is known
// which name that is about.
type probeSettings struct {
	given bool // even if it is faulty
	ok    bool
	spec  zones.ProbeSpec
	place Place
}

// probe reads how the addresses are probed.
func (l *loader) probe(t table) probeSettings {
	value, given := t.get("probe")
	name, named := l.word(t, "probe_name", "app.contoso.com")
	switch {
	case !given && named:
		l.rep.add(t.place("probe_name"), &fault{"nothing is probed", `add a probe, such as probe = "tls:443", or remove it`})
		return probeSettings{}
	case !given:
		return probeSettings{}
	}
	s := probeSettings{given: true, place: t.place("probe")}
	text, is := value.(string)
	if !is {
		t.mismatch(s.place, value, `write it as in "tcp:1433"`, "a string")
		return s
	}
	var f *fault
	if s.spec, f = parseProbe(text); f != nil {
		l.rep.add(s.place, f)
		return s
	}
	s.ok = true
	l.warnOfEgress(s)
	if named {
		s.ok = l.probeName(t.place("probe_name"), name, &s.spec)
	}
	return s
}

// probeName reads the name that stands for the real one while probing.
func (l *loader) probeName(at Place, text string, spec *zones.ProbeSpec) bool {
	name, f := parseHost(text)
	switch {
	case f != nil:
	case spec.Kind == zones.TCPProbe:
		f = &fault{"a tcp probe looks at no certificate", `remove it, or write a probe such as "tls:443"`}
	case name.IsWildcard():
		f = faultf("write one name below it, which the certificate is good for", "%s stands for many names", name)
	}
	if f != nil {
		l.rep.add(at, f)
		return false
	}
	spec.Name = name
	return true
}

// parseProbe reads a probe: its kind, a port, and for https a path.
func parseProbe(text string) (spec zones.ProbeSpec, f *fault) {
	kind, rest, _ := strings.Cut(text, ":")
	port, path, hasPath := strings.Cut(rest, "/")
	number, err := strconv.ParseUint(port, 10, 16)
	known := false
	for _, k := range []zones.ProbeKind{zones.TCPProbe, zones.TLSProbe, zones.HTTPSProbe} {
		if k.String() == kind {
			spec.Kind, known = k, true
		}
	}
	spec.Port = uint16(number)
	remedy := `write "tcp:1433", "tls:443" or "https:443/path", with a port from 1 to 65535`
	bare, bareErr := strconv.ParseUint(text, 10, 16)
	switch {
	case bareErr == nil && bare > 0:
		remedy = fmt.Sprintf("write \"tcp:%d\"", bare)
	case kind == "http" && err == nil && number > 0:
		remedy = fmt.Sprintf("write \"tcp:%d\", or \"https:443%s\" if it has a certificate", number, strings.TrimPrefix(rest, port))
	case !known || err != nil || number == 0:
	case hasPath && spec.Kind != zones.HTTPSProbe:
		remedy = fmt.Sprintf("write \"%s:%d\", or \"https:%d/%s\" to ask for the path", kind, number, number, path)
	case spec.Kind != zones.HTTPSProbe:
		return spec, nil
	default:
		spec.Path = "/" + path
		if goodPath(spec.Path) {
			return spec, nil
		}
		remedy = "write the path with % and two digits for what is no visible ASCII, and without #"
	}
	return spec, faultf(remedy, "%q is no probe", text)
}

// goodPath reports whether a path, with the query after it, can be asked for as it is.
func goodPath(path string) bool {
	strange := func(r rune) bool { return r <= ' ' || r > '~' || r == '#' }
	_, err := url.ParseRequestURI(path)
	return err == nil && !strings.ContainsFunc(path, strange) && !strings.HasPrefix(path, "//")
}

// probeOf is the probe of a mapping that is written under a name. Where a
// certificate is looked at, it must be for the real name, which must be one name.
func (l *loader) probeOf(s probeSettings, name zones.Name) zones.Probe {
	if !s.ok {
		return zones.Probe{}
	}
	if s.spec.Kind == zones.TCPProbe || !s.spec.Name.IsZero() {
		return zones.NewProbe(s.spec)
	}
	s.spec.Name = name
	if _, private := l.catalogue.ZoneOf(name); private {
		s.spec.Name = zones.Name{}
		if public := l.publicNames(name); len(public) > 0 {
			s.spec.Name = public[0]
		}
	}
	const remedy = `add probe_name = "..." with a name that the certificate is good for, or write a tcp probe`
	switch {
	case s.spec.Name.IsZero():
		l.rep.add(s.place, faultf(remedy, "%s has no public name that a certificate could be for", name))
		return zones.Probe{}
	case s.spec.Name.IsWildcard():
		l.rep.add(s.place, faultf(remedy, "%s stands for many names, and a certificate is held against one", s.spec.Name))
		return zones.Probe{}
	}
	return zones.NewProbe(s.spec)
}

// pick reads which addresses are answered.
func (l *loader) pick(t table, probed bool) zones.Pick {
	text, given := l.word(t, "pick", "all")
	switch {
	case !given && !probed, text == zones.PickAll.String():
		return zones.PickAll
	case !given:
		return zones.PickFirstHealthy
	case text != zones.PickFirstHealthy.String():
		l.rep.add(t.place("pick"), faultf(`write "first-healthy" or "all"`, "%q is no way to pick", text))
	case !probed:
		l.rep.add(t.place("pick"), faultf(`add a probe, such as probe = "tcp:1433"`, "%q needs a "+
			"probe to tell which address is healthy", text))
	}
	return zones.PickFirstHealthy
}
