package graphtest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// request is a question to Resource Graph.
type request struct {
	Query            string
	Subscriptions    []string
	ManagementGroups []string
	Options          struct {
		SkipToken    string `json:"$skipToken"`
		Top          int    `json:"$top"`
		ResultFormat string
	}
}

// query is a query that was read.
type query struct {
	table   string
	types   []string // in lower case
	columns [][2]string
}

var quoted = regexp.MustCompile(`'([^']*)'`)

// parse reads a query: a table, "where type", "project" of plain paths, "order by id".
func parse(text string) (q query, err error) {
	parts := strings.Split(text, "|")
	q.table = strings.TrimSpace(parts[0])
	ordered := false
	for _, part := range parts[1:] {
		part = strings.TrimSpace(part)
		switch word, rest, _ := strings.Cut(part, " "); {
		case word == "where" && (strings.HasPrefix(rest, "type =~ '") || strings.HasPrefix(rest, "type in~ (")):
			if strings.Contains(rest, " and ") || strings.Contains(rest, " or ") {
				return q, fmt.Errorf("%q is more than a type", part)
			}
			for _, found := range quoted.FindAllStringSubmatch(rest, -1) {
				q.types = append(q.types, strings.ToLower(found[1]))
			}
		case word == "project":
			for column := range strings.SplitSeq(rest, ",") {
				name, path, is := strings.Cut(strings.TrimSpace(column), " = ")
				if !is {
					path = name
				}
				if strings.ContainsAny(name+path, "()[] ") {
					return q, fmt.Errorf("%q is no plain path", column)
				}
				q.columns = append(q.columns, [2]string{name, path})
			}
		case part == "order by id asc":
			ordered = true
		default:
			return q, fmt.Errorf("%q cannot be read", part)
		}
	}
	if !ordered || len(q.types) == 0 || !slices.Contains(q.columns, [2]string{"id", "id"}) {
		return q, fmt.Errorf("it has no type, no id or no order")
	}
	return q, nil
}

// ask answers a query with one page.
func (s *Server) ask(r request) ([]byte, error) {
	q, err := parse(r.Query)
	if err != nil {
		return nil, err
	}
	if r.Options.ResultFormat != "objectArray" || r.Options.Top < 1 || r.Options.Top > 1000 || len(r.Subscriptions) >= 300 {
		return nil, fmt.Errorf("format %q, top %d, %d subscriptions", r.Options.ResultFormat, r.Options.Top, len(r.Subscriptions))
	}
	if len(r.Subscriptions) == 0 && len(r.ManagementGroups) == 0 {
		return nil, fmt.Errorf("it has no scope")
	}
	all := s.find(q, r)
	from, _ := strconv.Atoi(strings.TrimPrefix(r.Options.SkipToken, "at-"))
	from = min(from, len(all))
	end := min(from+r.Options.Top, len(all))
	rows := make([]any, 0, end-from)
	for _, resource := range all[from:end] {
		row := make(map[string]any, len(q.columns))
		for _, column := range q.columns {
			row[column[0]] = at(resource, column[1])
		}
		rows = append(rows, row)
	}
	page := map[string]any{"totalRecords": len(all), "count": len(rows), "resultTruncated": "false", "facets": []any{}, "data": rows}
	if end < len(all) {
		page["$skipToken"] = fmt.Sprintf("at-%d", end)
	}
	return json.Marshal(page)
}

// at is the value at a path of a resource.
func at(value any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		object, is := value.(map[string]any)
		if !is {
			return nil
		}
		value = object[key]
	}
	return value
}
