package azureimport

import (
	"encoding/json"
	"fmt"
)

// readGraph reads answers of Resource Graph, as the command line, REST or an SDK
// wrap them, or the bare list of rows. A row is a resource, or one of a query that
// joins private endpoints with their network interfaces.
func (e *Export) readGraph(file string, j *jsonReader) error {
	rows := func(path *step, token json.Token) error {
		if token == json.Delim('{') {
			return e.readGraphTable(file, j, path)
		}
		return j.elements(path, token, func(n node) error { return e.readRow(file, n) })
	}
	return j.documents(func(token json.Token) error {
		if token == json.Delim('[') {
			return rows(nil, token)
		}
		return e.readWhole(file, j, Graph, token, wrapped{"data": rows})
	})
}

// readGraphTable reads the older form of an answer: names of columns, and rows that
// are lists.
func (e *Export) readGraphTable(file string, j *jsonReader, path *step) error {
	var columns []string
	return j.object(func(key string, token json.Token) error {
		here := &step{up: path, key: key}
		switch key {
		case "columns":
			return j.elements(here, token, func(n node) error {
				columns = append(columns, n.get("name").text())
				return n.err()
			})
		case "rows":
			if columns == nil {
				return fmt.Errorf("the rows of its table come before the columns: ask for result format objectArray")
			}
			return j.elements(here, token, func(n node) error {
				cells := n.list()
				row := make(map[string]any, len(cells))
				for i := range min(len(cells), len(columns)) {
					row[columns[i]] = cells[i].value
				}
				if err := n.err(); err != nil {
					return err
				}
				return e.readRow(file, newNode(row, n.path))
			})
		}
		return j.skip(token)
	})
}

// readRow reads one row.
func (e *Export) readRow(file string, n node) error {
	id := n.get("peId")
	if !id.has() {
		return e.readResource(file, n)
	}
	if id.text() == "" {
		e.strange++
		return n.err()
	}
	p := e.resource(id.text(), file)
	p.isPE = true
	if name := n.get("name").text(); name != "" {
		p.label = plain(part(id.text(), "resourceGroups") + "/" + name)
	}
	p.subnet, p.location = n.get("subnetId").text(), n.get("location").text()
	p.addLink(link{target: n.get("target").text(), groups: n.get("groupIds").texts(), status: n.get("state").text()})
	if addr, ok := n.get("privateIp").address(); ok {
		e.sayAll(p, byNIC, n.get("fqdns").texts(), addr)
	}
	if n.err() == nil {
		e.progress(file)
	}
	return n.err()
}
