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
	Source       string   // the document that the row is from; "table" is Microsoft's table of zones
	Date         string   // the revision of the source, or when it was last seen so: year and month; empty for an added row
	Legacy       bool     // a later revision superseded it
	Observed     bool     // Microsoft's table lacks it, and it is in use
	PrivateOnly  bool     // clients ask for the private names themselves: there are no public ones
	Notes        string
}

// row is an Entry with what the program reads from it: its items, empty for the
// rule that nearly all services follow.
type row struct {
	Entry
	items []string
	added int // which row of the operator's it is, counted from 1; 0 for an embedded one
}

// The items that are no form: silent of a row whose names another row decides
// about, only of one whose private names have no public ones.
const (
	silent = "-"
	only   = "only"
)

const (
	header  = "cloud,category,service,resource_type,subresource,private_zone,public_zones,names,source,date,status,notes"
	listSep = "; "
)

// readFile reads a data file: the rows behind the first, which is its header.
func readFile(what, text, header string) ([][]string, error) {
	reader := csv.NewReader(strings.NewReader(text))
	reader.Comment = '#'
	records, err := reader.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read the %s: %w", what, err)
	}
	if len(records) == 0 || strings.Join(records[0], ",") != header {
		return nil, fmt.Errorf("read the %s: the first row is not %q", what, header)
	}
	return records[1:], nil
}

// readRows reads the rows of the catalogue.
func readRows(text string) ([]row, error) {
	records, err := readFile("catalogue", text, header)
	if err != nil {
		return nil, err
	}
	rows := make([]row, 0, len(records))
	for _, fields := range records {
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
		Date:         fields[9],
		Legacy:       fields[10] == "legacy",
		Observed:     fields[10] == "observed",
		Notes:        fields[11],
	}}
	if fields[7] != "" {
		r.items = strings.Split(fields[7], listSep)
		all := len(r.items)
		r.items = slices.DeleteFunc(r.items, func(item string) bool { return item == only })
		r.PrivateOnly = len(r.items) < all
	}
	if !slices.Contains([]Cloud{Public, USGov, China}, r.Cloud) {
		return row{}, fmt.Errorf("unknown cloud %q", r.Cloud)
	}
	if !r.Legacy && !r.Observed && fields[10] != "current" {
		return row{}, fmt.Errorf("unknown status %q", fields[10])
	}
	if r.Source == "" || !isMonth(r.Date) {
		return row{}, fmt.Errorf("source %q and date %q do not say where the row is from and when that was so", r.Source, r.Date)
	}
	return r, nil
}

// isMonth reports whether a text is a year and a month, as in 2026-05.
func isMonth(text string) bool {
	year, month, ok := strings.Cut(text, "-")
	return ok && len(year) == 4 && len(month) == 2 && isDigits(year) && isDigits(month)
}

// isSilent reports whether another row decides about the names of this one.
func (r row) isSilent() bool { return len(r.items) == 1 && r.items[0] == silent }
