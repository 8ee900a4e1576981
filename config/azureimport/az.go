package azureimport

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// readAZ reads what the Azure command line or PowerShell prints: lists of private
// endpoints, DNS zone groups, network interfaces, record sets and links, or single
// ones. Several outputs may follow each other in one file, as a loop over zone
// groups writes them.
func (e *Export) readAZ(file string, j *jsonReader) error {
	return j.documents(func(token json.Token) error {
		if token == json.Delim('[') {
			return j.elements(nil, token, func(n node) error { return e.readResource(file, n) })
		}
		return e.readWhole(file, j, AZ, token, nil, new(page))
	})
}

// documents walks the values of a file that stand beside each other.
func (j *jsonReader) documents(document func(json.Token) error) error {
	for {
		j.next()
		token, err := j.maybeToken()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = document(token)
		}
		if err != nil {
			return err
		}
	}
}

// wrapped reads what wraps the resources of a kind.
type wrapped map[string]func(path *step, value json.Token) error

// readWhole reads an object at the top of a file: what wraps a list of resources,
// or a single resource. Keys of wraps are lower case. What the wrap says of further
// pages goes into the page.
func (e *Export) readWhole(file string, j *jsonReader, kind Kind, token json.Token, wraps wrapped, p *page) error {
	if token != json.Delim('{') {
		return fmt.Errorf("it is neither a list nor an object: export it with \"-o json\"")
	}
	rest, isWrapped := make(map[string]any), false
	err := j.object(func(key string, value json.Token) error {
		if read := wraps[strings.ToLower(key)]; read != nil {
			isWrapped = true
			return read(&step{key: key}, value)
		}
		if err := foreignKey(kind, key); err != nil {
			return err
		}
		v, err := j.value(value)
		rest[key] = v
		return err
	})
	switch n := newNode(rest, nil); {
	case err != nil:
		return err
	case isWrapped:
		return e.endPage(file, kind, n, p)
	default:
		return e.readResource(file, n)
	}
}

// foreignKey refuses a key at the top that another kind of export has.
func foreignKey(kind Kind, key string) error {
	if looks := kindOfKey(key); looks != "" && looks != kind {
		return wrongKind(looks)
	}
	if key == "$schema" {
		return fmt.Errorf("it looks like a deployment template, which holds no addresses: export the resources themselves")
	}
	return foreignForm(key)
}

// endPage notes what an answer says of further ones.
func (e *Export) endPage(file string, kind Kind, rest node, p *page) error {
	p.file, p.kind, p.total = file, kind, -1
	for _, key := range []string{"nextLink", "@odata.nextLink", "skip_token", "$skipToken", "skipToken"} {
		more := rest.get(key)
		p.more = p.more || more.has() && more.text() != ""
	}
	truncated := rest.get("resultTruncated").anyText()
	p.more = p.more || strings.EqualFold(truncated, "true")
	if total, ok := rest.get("totalRecords").value.(json.Number); ok {
		if count, err := total.Int64(); err == nil && count >= 0 {
			p.total = int(count)
		}
	}
	e.pages = append(e.pages, *p)
	return rest.err()
}
