package azureimport

import (
	"encoding/json"
	"fmt"
)

// readGraph reads answers of Resource Graph, as the command line, REST or an SDK
// wrap them, or the bare list of rows. A row is a resource, or one of a query that
// joins private endpoints with their network interfaces.
func (e *Export) readGraph(file string, j *jsonReader) error {
	return j.documents(func(token json.Token) error {
		p := &page{keys: make(map[uint64]bool)}
		rows := func(path *step, token json.Token) error {
			if token == json.Delim('{') {
				return e.readGraphTable(file, j, path, p)
			}
			return j.elements(path, token, func(n node) error { return e.readRow(file, n, p) })
		}
		if token == json.Delim('[') {
			if err := rows(nil, token); err != nil {
				return err
			}
			return e.endPage(file, Graph, newNode(nil, nil), p)
		}
		return e.readWhole(file, j, Graph, token, wrapped{"data": rows}, p)
	})
}

// readGraphTable reads the older form of an answer: names of columns, and rows that
// are lists.
func (e *Export) readGraphTable(file string, j *jsonReader, path *step, p *page) error {
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
				return e.readRow(file, newNode(row, n.path), p)
			})
		}
		return j.skip(token)
	})
}

// readRow reads one row, of a page or of none.
func (e *Export) readRow(file string, n node, p *page) error {
	if _, is := n.value.(map[string]any); is && p != nil {
		p.row(n, e.seed)
	}
	switch id := n.get("peId"); {
	case n.get("psc").has() || n.get("mpsc").has():
		return e.readResource(file, endpointRow(n))
	case !id.has() || n.err() != nil:
		return e.readResource(file, n)
	case id.text() == "":
		e.unknownShape(file, n)
	case n.get("target").has() || n.get("state").has() || n.get("groupIds").has():
		e.readJoinedRow(file, id.text(), n)
	default:
		e.readInterfaceRow(file, id.text(), n)
	}
	return n.err()
}

// endpointRow is a row of an endpoint with columns of its own, as the resource that
// it is made of.
func endpointRow(n node) node {
	members := map[string]any{"type": typeEndpoint}
	for _, column := range []struct{ name, property string }{
		{"psc", "privateLinkServiceConnections"}, {"mpsc", "manualPrivateLinkServiceConnections"},
		{"custom", "customDnsConfigs"}, {"state", "provisioningState"},
	} {
		members[column.property] = n.get(column.name).value
	}
	if subnet := n.get("subnet"); subnet.anyText() != "" {
		members["subnet"] = map[string]any{"id": subnet.value}
	}
	return n.withAll(members)
}

// readJoinedRow reads a row of an endpoint and one address of its interface.
func (e *Export) readJoinedRow(file, id string, n node) {
	endpoint := PrivateEndpoint{
		ID: id, File: file, SubnetID: n.get("subnetId").text(), Location: n.get("location").text(),
		Provisioning: n.get("provisioningState").text(),
		Connections:  []Connection{{TargetID: n.get("target").text(), Groups: n.get("groupIds").texts(), Status: n.get("state").text()}},
	}
	addr, ok := n.get("privateIp").address()
	names := n.get("fqdns").texts()
	if n.err() != nil {
		return
	}
	e.addEndpoint(endpoint)
	if ok {
		e.addInterface(Interface{
			EndpointID: id, SubnetID: endpoint.SubnetID, File: file, Configurations: []IPConfiguration{{Address: addr, Names: names}},
		})
	}
	e.progress(file)
}

// readInterfaceRow reads a row of an interface: its endpoint and either all of its
// configurations or one address.
func (e *Export) readInterfaceRow(file, id string, n node) {
	nic := n.get("id").text()
	read := Interface{ID: nic, EndpointID: id, Location: n.get("location").text(), File: file}
	if configurations := n.get("ipc"); configurations.has() {
		read = interfaceOf(file, nic, id, n.with("ipConfigurations", configurations))
	} else if addr, ok := n.get("privateIp").address(); ok {
		read.Configurations = []IPConfiguration{{Address: addr, Names: n.get("fqdns").texts()}}
	}
	if n.err() == nil {
		e.addInterface(read)
		e.progress(file)
	}
}
