package azure

import (
	_ "embed" // for the data file
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
)

//go:embed catalogue.csv
var catalogueCSV string // never assigned: the embed directive wants a variable

// Cloud is one of the separate Azure clouds.
type Cloud string

// The clouds of the catalogue.
const (
	Public Cloud = "public"
	USGov  Cloud = "usgov"
	China  Cloud = "china"
)

// Entry is one row of the catalogue: a subresource of a service (the "group id"
// of its private endpoints) and a zone that it uses. Zones are patterns, in which
// {regionName} and the like stand for a label.
type Entry struct {
	Cloud        Cloud
	Category     string
	Service      string
	ResourceType string
	Subresource  string
	PrivateZone  string
	PublicZones  []string // the "public DNS zone forwarders" of the documentation; not to be changed
	Source       string   // the revision of the documentation: year and month
	Legacy       bool     // a later revision superseded it
	Notes        string
}

// row is an Entry with what the program reads from it: its items, empty for the
// rule that nearly all services follow.
type row struct {
	Entry
	items []string
}

// silent is the item of a row whose names another row decides about.
const silent = "-"

const (
	header  = "cloud,category,service,resource_type,subresource,private_zone,public_zones,names,source,status,notes"
	listSep = "; "
)

// readRows reads the data file.
func readRows(text string) ([]row, error) {
	reader := csv.NewReader(strings.NewReader(text))
	reader.Comment = '#'
	records, err := reader.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	if len(records) == 0 || strings.Join(records[0], ",") != header {
		return nil, fmt.Errorf("read the catalogue: the first row is not %q", header)
	}
	rows := make([]row, 0, len(records)-1)
	for _, fields := range records[1:] {
		r, err := readRow(fields)
		if err != nil {
			return nil, fmt.Errorf("read the catalogue: row of %s in %s: %w", fields[5], fields[0], err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// readRow reads the fields of one row, which are as many as the header has.
func readRow(fields []string) (row, error) {
	r := row{Entry: Entry{
		Cloud:        Cloud(fields[0]),
		Category:     fields[1],
		Service:      fields[2],
		ResourceType: fields[3],
		Subresource:  fields[4],
		PrivateZone:  fields[5],
		PublicZones:  strings.Split(fields[6], listSep),
		Source:       fields[8],
		Legacy:       fields[9] == "legacy",
		Notes:        fields[10],
	}}
	if fields[7] != "" {
		r.items = strings.Split(fields[7], listSep)
	}
	if !slices.Contains([]Cloud{Public, USGov, China}, r.Cloud) {
		return row{}, fmt.Errorf("unknown cloud %q", r.Cloud)
	}
	if !r.Legacy && fields[9] != "current" {
		return row{}, fmt.Errorf("unknown status %q", fields[9])
	}
	return r, nil
}

// isSilent tells whether another row decides about the names of this one.
func (r row) isSilent() bool { return len(r.items) == 1 && r.items[0] == silent }
