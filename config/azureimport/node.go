package azureimport

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"strings"
)

// step is one step of the way to a value, from the outside in.
type step struct {
	up    *step
	key   string // of an object; empty for an element of a list
	index int
}

// String is the way, such as value[3].properties.subnet.
func (s *step) String() string {
	switch {
	case s == nil:
		return "the whole"
	case s.key == "" && s.up == nil:
		return fmt.Sprintf("[%d]", s.index)
	case s.key == "":
		return fmt.Sprintf("%s[%d]", s.up, s.index)
	case s.up == nil:
		return plain(s.key)
	}
	return s.up.String() + "." + plain(s.key)
}

// shapeError says that a value is not what an export has there.
type shapeError struct {
	path *step
	want string
	flat bool // it is what PowerShell writes of an object that is too deep
	// secret says that Pulumi has encrypted it.
	secret bool
}

// Error implements error.
func (e *shapeError) Error() string {
	if e.secret {
		return fmt.Sprintf("%s is encrypted: export it with \"pulumi stack export --show-secrets\"", e.path)
	}
	if e.flat {
		return fmt.Sprintf("%s is cut short by ConvertTo-Json: export it again with \"ConvertTo-Json -Depth 10\"", e.path)
	}
	return fmt.Sprintf("%s is not %s: export it again, without a query that reshapes it", e.path, e.want)
}

// node is a value of an export. What an export does not have is a node without a
// value, and so is what it has as null. All nodes of one resource share the first
// fault of its shape, so that a reader of two dozen members asks once.
type node struct {
	value any
	path  *step
	fault **shapeError
}

// newNode is a resource, without a fault yet.
func newNode(value any, path *step) node {
	return node{value: value, path: path, fault: new(*shapeError)}
}

// err is the first fault of the resource.
func (n node) err() error {
	if *n.fault == nil {
		return nil
	}
	return *n.fault
}

// blame notes that the value is not what is wanted.
func (n node) blame(want string) {
	if *n.fault == nil {
		text, _ := n.value.(string)
		*n.fault = &shapeError{path: n.path, want: want, flat: isFlattened(text), secret: isEncrypted(n.value)}
	}
}

// has reports whether there is a value.
func (n node) has() bool { return n.value != nil }

// get is a member of an object. Letter case and underscores do not matter: versions
// of the Azure command line differ in the one, and Terraform and Pulumi in the other.
func (n node) get(key string) node {
	member := node{path: &step{up: n.path, key: key}, fault: n.fault}
	if n.value == nil {
		return member
	}
	object, is := n.value.(map[string]any)
	if !is || isEncrypted(n.value) {
		n.blame("an object")
		return member
	}
	member.value, _ = memberOfObject(object, key)
	return member
}

// isObject reports whether the value is an object.
func (n node) isObject() bool {
	_, is := n.value.(map[string]any)
	return is
}

// memberOfObject is a member of an object by its key, in any spelling.
func memberOfObject(object map[string]any, key string) (value any, has bool) {
	if value, exact := object[key]; exact {
		return value, true
	}
	first := "" // of keys that differ in case only, so that the choice is the same each time
	for name, other := range object {
		if sameKey(name, key) && (first == "" || name < first) {
			first, value, has = name, other, true
		}
	}
	return value, has
}

// sameKey reports whether two keys are one but for letter case and underscores.
func sameKey(a, b string) bool {
	for a != "" && b != "" {
		switch {
		case a[0] == '_':
			a = a[1:]
		case b[0] == '_':
			b = b[1:]
		case a[0]|0x20 != b[0]|0x20:
			return false
		default:
			a, b = a[1:], b[1:]
		}
	}
	return strings.Trim(a+b, "_") == ""
}

// body is where the properties of a resource are: REST and Resource Graph put them
// into an object of their own, the Azure command line does not.
func (n node) body() node {
	if properties := n.get("properties"); properties.has() {
		return properties
	}
	return n
}

// list are the elements of a list.
func (n node) list() []node {
	if n.value == nil {
		return nil
	}
	elements, is := n.value.([]any)
	if !is {
		n.blame("a list")
		return nil
	}
	nodes := make([]node, len(elements))
	for i, value := range elements {
		nodes[i] = node{value: value, path: &step{up: n.path, index: i}, fault: n.fault}
	}
	return nodes
}

// listOrOne are the elements of a list, or the one value that stands in its place, as
// Pulumi and PowerShell write a list of one.
func (n node) listOrOne() []node {
	if _, is := n.value.([]any); is || n.value == nil {
		return n.list()
	}
	return []node{n}
}

// text is a string.
func (n node) text() string {
	text, is := n.value.(string)
	if !is && n.value != nil {
		n.blame("a string")
	}
	return text
}

// anyText is a string, or a number or a truth as text; what is none of these is empty.
func (n node) anyText() string {
	switch value := n.value.(type) {
	case string:
		return value
	case json.Number:
		return value.String()
	case bool:
		return fmt.Sprint(value)
	}
	return ""
}

// texts are the strings of a list. Resource Graph gives a list as one string where
// a query casts it.
func (n node) texts() []string {
	if text, is := n.value.(string); is && strings.HasPrefix(text, "[") {
		var texts []string
		if json.Unmarshal([]byte(text), &texts) != nil {
			n.blame("a list")
		}
		return texts
	}
	var texts []string
	for _, element := range n.list() {
		texts = append(texts, element.text())
	}
	return texts
}

// truth is a boolean; what is absent is false.
func (n node) truth() bool {
	truth, is := n.value.(bool)
	if !is && n.value != nil {
		n.blame("true or false")
	}
	return truth
}

// address is an address; ok is false for none, which an endpoint in the making has.
func (n node) address() (addr netip.Addr, ok bool) {
	text := n.text()
	if text == "" {
		return addr, false
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		n.blame("an IP address")
		return addr, false
	}
	return addr.Unmap(), true
}

// addresses are the addresses of a list.
func (n node) addresses() []netip.Addr {
	var addrs []netip.Addr
	for _, element := range n.list() {
		if addr, ok := element.address(); ok {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// with is an object with a member that it did not have, or had otherwise.
func (n node) with(key string, value node) node { return n.withAll(map[string]any{key: value.value}) }

// withAll is with for several members.
func (n node) withAll(members map[string]any) node {
	object, _ := n.value.(map[string]any)
	all := make(map[string]any, len(object)+len(members))
	maps.Copy(all, object)
	maps.Copy(all, members)
	return node{value: all, path: n.path, fault: n.fault}
}
