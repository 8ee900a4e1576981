package config

import (
	"pldns/zones/azure"
)

// catalogued adds the rows of the file to the catalogue, before any name is looked
// up in it.
func (l *loader) catalogued(root table) {
	var rows []azure.Row
	var places []Place
	for _, t := range l.tablesAt(root, "catalogue") {
		if row, ok := catalogueRow(t); ok {
			rows, places = append(rows, row), append(places, t.here())
		}
	}
	if len(rows) == 0 {
		return
	}
	extended, errs := l.catalogue.With(rows)
	for i, err := range errs {
		if err != nil {
			const remedy = `write a row such as zone = "privatelink.example.azure.com", public = ["{name}.example.azure.com"]`
			l.rep.add(places[i], faultf(remedy, "%s", err))
		}
	}
	l.catalogue = extended
}

// catalogueRow reads a row; not ok without a zone.
func catalogueRow(t table) (row azure.Row, ok bool) {
	t.only("zone", "public", "cloud", "service", "resource_type", "subresource")
	if row.Zone, ok = t.text("zone", "privatelink.example.azure.com"); !ok && !t.has("zone") {
		t.rep.add(t.here(), &fault{"has no zone", `add zone = "privatelink.example.azure.com"`})
	}
	forms, _ := t.texts("public", "{name}.example.azure.com")
	for _, form := range forms {
		row.Public = append(row.Public, form.text)
	}
	if cloud, given := t.text("cloud", "usgov"); given {
		row.Cloud = azure.Cloud(cloud)
		if row.Cloud != azure.Public && row.Cloud != azure.USGov && row.Cloud != azure.China {
			t.rep.add(t.place("cloud"), faultf(`write "public", "usgov" or "china"`, "%q is no Azure cloud", cloud))
			row.Cloud = azure.Public
		}
	}
	row.Service, _ = t.text("service", "Azure Example")
	row.ResourceType, _ = t.text("resource_type", "Microsoft.Example/servers")
	row.Subresource, _ = t.text("subresource", "server")
	return row, ok
}

// tablesAt are the tables of a list of tables.
func (l *loader) tablesAt(root table, key string) []table {
	value, given := root.get(key)
	if !given {
		return nil
	}
	at := root.place(key)
	var groups []map[string]any
	switch value := value.(type) {
	case []map[string]any:
		groups = value
	case []any:
		for i, element := range value {
			inner, is := element.(map[string]any)
			if !is {
				root.mismatch(at.at(i), element, "write [["+key+"]] above its keys", "a table")
				continue
			}
			groups = append(groups, inner)
		}
	default:
		root.mismatch(at, value, "write [["+key+"]] above its keys", "a list of tables")
	}
	all := make([]table, len(groups))
	for i, values := range groups {
		all[i] = table{rep: l.rep, file: root.file, path: at.at(i).Key(), values: values}
	}
	return all
}
