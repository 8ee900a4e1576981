package azureimport

import "encoding/json"

// readARM reads answers of Azure Resource Manager: a list wrapped as "value", a bare
// list, or a single resource. Several may follow each other.
func (e *Export) readARM(file string, j *jsonReader) error {
	read := func(path *step, token json.Token) error {
		return j.elements(path, token, func(n node) error { return e.readResource(file, n) })
	}
	return j.documents(func(token json.Token) error {
		if token == json.Delim('[') {
			return read(nil, token)
		}
		return e.readWhole(file, j, ARM, token, wrapped{"value": read})
	})
}
