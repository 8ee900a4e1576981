package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"pldns/config/internal/tomlfile"
	"pldns/zones"
)

// parseHost reads a name that clients ask for: a host name of at least two labels,
// of which the leftmost may be "*".
func parseHost(text string) (zones.Name, *fault) {
	if wrong := hostFault(text, true); wrong != "" {
		return zones.Name{}, &fault{wrong, hostRemedy(text)}
	}
	if !strings.Contains(strings.TrimSuffix(text, "."), ".") {
		return zones.Name{}, faultf(`write the full name, such as "mydb.database.windows.net"`, "%q has one label", text)
	}
	return parseName(text)
}

// parseSuffix reads the name of a zone or a suffix: one label or more, no "*".
func parseSuffix(text string) (zones.Name, *fault) {
	if below, wild := strings.CutPrefix(text, "*."); wild && hostFault(below, false) == "" {
		return zones.Name{}, faultf(fmt.Sprintf("write %q, which holds for every name below it", below), "%q is a wildcard", text)
	}
	if wrong := hostFault(text, false); wrong != "" {
		return zones.Name{}, &fault{wrong, hostRemedy(text)}
	}
	return parseName(text)
}

// parseName brings a name whose letters are in order into its canonical form.
func parseName(text string) (zones.Name, *fault) {
	name, err := zones.ParseName(text)
	if err != nil {
		return zones.Name{}, faultf("shorten it", "%s", err)
	}
	return name, nil
}

// hostFault says why a text is no host name; empty when it is one.
func hostFault(text string, wildcard bool) string {
	labels := strings.TrimSuffix(text, ".")
	if wildcard {
		labels = strings.TrimPrefix(labels, "*.")
	}
	for i := range len(labels) {
		if c := labels[i]; c != '.' && !tomlfile.IsBareByte(c) {
			return strangeFault(text, c)
		}
	}
	switch {
	case labels == "":
		return fmt.Sprintf("%q is no host name", text)
	case labels[0] == '.' || strings.Contains(labels, "..") || labels[len(labels)-1] == '.':
		return fmt.Sprintf("%q has an empty label", text)
	case isAddress(labels):
		return fmt.Sprintf("%q is an address, not a name", text)
	}
	return ""
}

// isAddress reports whether a text is an IP address. Only what ends in a digit can
// be an IPv4 one, which spares a million names the attempt.
func isAddress(text string) bool {
	if last := text[len(text)-1]; last < '0' || last > '9' {
		return false
	}
	_, err := netip.ParseAddr(text)
	return err == nil
}

// strangeFault says what a text that is no host name is, by a character c that no
// host name has.
func strangeFault(text string, c byte) string {
	if _, err := netip.ParseAddr(text); err == nil {
		return fmt.Sprintf("%q is an address, not a name", text)
	}
	_, isDataSource := dataSource(text)
	switch {
	case strings.Contains(text, "://"):
		return fmt.Sprintf("%q is a URL, not a name", text)
	case isDataSource:
		return fmt.Sprintf("%q is a data source, not a name", text)
	case c == ':' || c == ',':
		return fmt.Sprintf("%q has a port", text)
	case c == '/':
		return fmt.Sprintf("%q has a path", text)
	case c == ' ' || c == '\t':
		return fmt.Sprintf("%q has a space", text)
	case c == '*':
		return fmt.Sprintf("%q has a * that is not its whole first label", text)
	case c >= 0x80:
		return fmt.Sprintf("%q has letters outside ASCII", text)
	default:
		return fmt.Sprintf("%q has a %q", text, c)
	}
}

// hostRemedy says what to write instead of a text that is no host name: the name
// that is inside it, if there is one.
func hostRemedy(text string) string {
	if inner := innerHost(text); inner != text && strings.Contains(inner, ".") && hostFault(inner, true) == "" {
		return fmt.Sprintf("write %q", inner)
	}
	_, err := netip.ParseAddr(text)
	switch {
	case err == nil:
		return "write the name that clients ask for; its addresses stand behind the equals sign"
	case strings.Contains(text, "*"):
		return `write * as the first label alone, as in "*.contoso.com"`
	case strings.IndexFunc(text, func(r rune) bool { return r >= 0x80 }) >= 0:
		return `write the form that begins with "xn--"`
	default:
		return `write a host name, such as "mydb.database.windows.net"`
	}
}

// dataSource gives what stands behind the protocol of a SQL connection string's
// data source, such as tcp:mydb.database.windows.net,1433.
func dataSource(text string) (string, bool) {
	protocol, rest, cut := strings.Cut(text, ":")
	return rest, cut && slices.Contains([]string{"tcp", "np", "lpc", "admin"}, strings.ToLower(protocol))
}

// innerHost takes from a text what people copy along with a host name.
func innerHost(text string) string {
	text = strings.TrimSpace(text)
	if _, rest, url := strings.Cut(text, "://"); url {
		text = rest
	}
	if rest, is := dataSource(text); is {
		text = rest
	}
	if end := strings.IndexAny(text, "/?#,:"); end >= 0 {
		text = text[:end]
	}
	return strings.Trim(strings.TrimSpace(text), ".")
}
