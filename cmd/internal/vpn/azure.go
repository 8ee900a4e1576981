package vpn

import (
	"encoding/xml"
	"errors"
	"io"
	"net/netip"
	"regexp"
	"strings"
)

// azureLine is a line of AzureVpnCxn.log: the time in the form of the user's country,
// the process and thread, the connection, its id, a level and what happened.
//
//	[3/23/2020 1:28:14 PM] PId:[00025864] TId:[00024864] [momenta-live-eun] [{cd71…}] [Verbose] Assigned Route: 10.1.0.0 / 255.255.0.0
var azureLine = regexp.MustCompile(`^\[([^\]]*)\] PId:\[[^\]]*\] TId:\[[^\]]*\] \[(.*)\] \[(\{[^}\]]*\})\] \[[^\]]*\] (.*)$`)

func isAzureLog(text string) bool {
	return strings.Contains(text, "] PId:[") && strings.Contains(text, "] TId:[")
}

// readAzureLog reads the last connection: the client has one at a time.
func readAzureLog(text string) []Profile {
	var last Profile
	var id string
	over := true // what follows begins another session
	for line := range strings.Lines(text) {
		fields := azureLine.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if fields == nil {
			continue
		}
		message := fields[4]
		if strings.HasPrefix(message, "Session established") {
			over = true
			continue
		}
		option, received := strings.CutPrefix(message, "Received option: ")
		assigned, given := strings.CutPrefix(message, "Assigned ")
		if !received && !given {
			continue
		}
		if over || fields[2] != last.Name || fields[3] != id {
			last, id, over = Profile{Client: Azure, Assigned: true, Name: fields[2]}, fields[3], false
		}
		last.When = fields[1]
		if received {
			last.option(strings.Fields(option))
		} else {
			last.azureAssigned(assigned)
		}
	}
	if last.Client == "" {
		return nil
	}
	return []Profile{last}
}

// azureAssigned takes what the client says it has set: "Route: 10.1.0.0 / 255.255.0.0"
// or "IP address: 172.16.10.2 / 255.255.255.128".
func (p *Profile) azureAssigned(text string) {
	what, value, _ := strings.Cut(text, ": ")
	address, mask, _ := strings.Cut(value, "/")
	prefix, ok := masked(strings.TrimSpace(address), strings.TrimSpace(mask))
	switch {
	case !ok:
	case strings.EqualFold(what, "Route"):
		p.route(prefix)
	case strings.EqualFold(what, "IP address"):
		p.Addresses = append(p.Addresses, prefix.Addr())
	}
}

// route adds a route, as long as there are not too many.
func (p *Profile) route(prefix netip.Prefix) {
	if len(p.Routes) < 2*maxRoutes { // each is told twice in logs of Azure
		p.Routes = append(p.Routes, prefix)
	}
}

func isAzureProfile(text string) bool {
	head := strings.TrimSpace(text)
	return strings.HasPrefix(head, "<") && strings.Contains(strings.ToLower(head[:min(len(head), 4096)]), "<azvpnprofile")
}

// readAzureProfile reads azurevpnconfig.xml: the routes that it adds to those of the
// gateway, and those that it keeps out.
func readAzureProfile(text string) []Profile {
	p := Profile{Client: Azure}
	decoder := xml.NewDecoder(strings.NewReader(text))
	decoder.Strict = false
	var path []string
	var destination, mask string
	for {
		token, err := decoder.RawToken()
		if errors.Is(err, io.EOF) {
			return []Profile{p}
		}
		if err != nil {
			return nil
		}
		switch t := token.(type) {
		case xml.StartElement:
			path = append(path, strings.ToLower(t.Name.Local))
			if len(path) > 64 {
				return nil // no profile is so deep
			}
		case xml.EndElement:
			if at(path, "route") {
				p.written(path, destination, mask)
				destination, mask = "", ""
			}
			path = path[:max(len(path)-1, 0)]
		case xml.CharData:
			value := strings.TrimSpace(string(t))
			switch {
			case at(path, "destination"):
				destination += value
			case at(path, "mask"):
				mask += value
			case at(path, "name") && len(path) == 2:
				p.Name += value
			}
		}
	}
}

// at tells whether the innermost element has a name.
func at(path []string, name string) bool { return len(path) > 0 && path[len(path)-1] == name }

// written takes a route of a profile, whose element says on which side it belongs.
func (p *Profile) written(path []string, destination, mask string) {
	prefix, ok := masked(destination, mask)
	if !ok || len(path) < 2 {
		return
	}
	switch path[len(path)-2] {
	case "includeroutes":
		p.route(prefix)
	case "excluderoutes":
		if len(p.Excluded) < maxRoutes {
			p.Excluded = append(p.Excluded, prefix)
		}
	}
}
