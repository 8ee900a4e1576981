package azure

import (
	"fmt"
	"slices"
	"strings"
)

// Row is a row that an operator adds to the catalogue: a zone of a new service, or
// of a sovereign cloud.
type Row struct {
	Cloud                              Cloud // empty for Public
	Service, ResourceType, Subresource string
	// Zone is the private zone, which begins with its privatelink label. The label
	// after that may be a word in braces that stands for a region or the like.
	Zone string
	// Public are the forms of public names, such as {name}.horizondb.azure.com, or
	// PUBLIC <=> PRIVATE where the private form does not follow from it. Empty says
	// that clients ask for names of the zone as they are.
	Public []string
}

// addedService is what an added row without one has as its service.
const addedService = "a zone of the configuration"

// With is the catalogue with more rows, which are checked as the embedded ones are.
// Where an added row and an embedded one have the same form of public names, the
// added one decides. The errors belong to the rows, nil for one that is in order; a
// faulty row is left out.
func (c *Catalogue) With(rows []Row) (*Catalogue, []error) {
	errs := make([]error, len(rows))
	all := slices.Clone(c.rows)
	given := make(map[string]bool)
	for i, added := range rows {
		r, err := added.row(given)
		if err != nil {
			errs[i] = err
			continue
		}
		r.added = i + 1
		all = append(all, r)
	}
	extended, faults := assemble(all, c.resources)
	for _, fault := range faults {
		errs[fault.row.added-1] = fault.err // the embedded rows have none
	}
	if len(faults) == 0 {
		return extended, errs
	}
	extended, _ = assemble(slices.DeleteFunc(all, func(r row) bool { return r.added > 0 && errs[r.added-1] != nil }), c.resources)
	return extended, errs
}

// row is an added row as a row of the data file. given are the forms of the rows
// before it.
func (a Row) row(given map[string]bool) (row, error) {
	r := row{Entry: Entry{
		Cloud: a.Cloud, Category: addedService, Service: a.Service, ResourceType: a.ResourceType, Subresource: a.Subresource,
		PrivateZone: strings.ToLower(strings.TrimSuffix(a.Zone, ".")), Source: "configuration", PrivateOnly: len(a.Public) == 0,
	}}
	if r.Cloud == "" {
		r.Cloud = Public
	}
	if !slices.Contains([]Cloud{Public, USGov, China}, r.Cloud) {
		return row{}, fmt.Errorf("unknown cloud %q", r.Cloud)
	}
	if r.Service == "" {
		r.Service = addedService
	}
	zone, err := parsePattern(r.PrivateZone)
	switch {
	case err != nil:
		return row{}, err
	case !hasOwnZone(r.PrivateZone):
		return row{}, fmt.Errorf("private zone %q does not begin with the label privatelink", a.Zone)
	case len(zone) < 3:
		return row{}, fmt.Errorf("private zone %q has no domain behind its first label", a.Zone)
	case len(a.Public) == 0:
		r.items = []string{silent}
	}
	for _, text := range a.Public {
		public, item, err := a.item(text, zone)
		if err != nil {
			return row{}, err
		}
		form := public.String()
		if given[form] {
			return row{}, fmt.Errorf("form %q stands in two rows or twice in one", form)
		}
		given[form] = true
		r.items = append(r.items, item)
		if at := publicZone(public); !slices.Contains(r.PublicZones, at) {
			r.PublicZones = append(r.PublicZones, at)
		}
	}
	return r, nil
}

// item is one form of an added row with its private form. A form that does not end
// as the zone does keeps the labels in front of its plain text, or of the label that
// the zone takes.
func (a Row) item(text string, zone pattern) (pattern, string, error) {
	text = strings.ToLower(text)
	left, _, _ := strings.Cut(text, " ")
	public, err := parsePattern(strings.TrimSuffix(left, "."))
	if err != nil {
		return nil, "", err
	}
	placeholders, tail := public.split()
	_, isPrivate := cutZone(public)
	switch {
	case isPrivate != nil:
		return nil, "", fmt.Errorf("form %q has the label %s, which no public name has", left, privatelink)
	case !strings.Contains(tail, "."):
		return nil, "", fmt.Errorf("form %q covers a whole top-level domain", left)
	case len(placeholders) == 0:
		return nil, "", fmt.Errorf("form %q is a single name: write {name}.%s for all names of the zone", left, left)
	case strings.Contains(text, " "):
		return public, text, nil
	}
	rest := zone[1:]
	kept := len(public) - len(rest)
	if kept <= 0 || !slices.Equal(public[kept:], rest) {
		kept = len(placeholders)
		if len(rest) > 0 && rest[0].placeholder != "" {
			if kept = slices.Index(public, rest[0]); kept <= 0 {
				return nil, "", fmt.Errorf("form %q has no %s, which the zone takes", left, rest[0])
			}
		}
	}
	return public, public.String() + signBoth + public[:kept].String() + "." + zone.String(), nil
}

// publicZone is what an added form says of its zone: all but its first label.
func publicZone(public pattern) string { return public[1:].String() }
