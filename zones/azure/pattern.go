package azure

import (
	"fmt"
	"strings"
)

// label is one label of a pattern: literal text, or a placeholder and the literal
// text after it.
type label struct {
	placeholder string // the word between the braces; empty for literal text
	literal     string
	inZone      bool // what it stands for becomes part of the name of a zone
}

// many is the placeholder of one label or several.
const many = "labels"

// pattern is a form of domain names, from left to right.
type pattern []label

// parsePattern reads a form as the data file writes it.
func parsePattern(text string) (pattern, error) {
	var p pattern
	for i, part := range strings.Split(text, ".") {
		l, err := parseLabel(part)
		if err != nil {
			return nil, fmt.Errorf("form %q: %w", text, err)
		}
		if l.placeholder == many && (i != 0 || l.literal != "") {
			return nil, fmt.Errorf("form %q: {%s} stands for whole labels at the left", text, many)
		}
		p = append(p, l)
	}
	return p, nil
}

func parseLabel(text string) (label, error) {
	var l label
	l.literal = text
	if word, ok := strings.CutPrefix(text, "{"); ok {
		l.placeholder, l.literal, ok = strings.Cut(word, "}")
		if !ok || l.placeholder == "" {
			return label{}, fmt.Errorf("label %q has an open brace or an empty one", text)
		}
	}
	if strings.ContainsAny(l.literal, "{} *\\") || l.literal != strings.ToLower(l.literal) {
		return label{}, fmt.Errorf("label %q is neither {word}, {word}text nor text in lower case", text)
	}
	if l.placeholder == "" && l.literal == "" {
		return label{}, fmt.Errorf("a label is empty")
	}
	return l, nil
}

// String is the form as the data file writes it.
func (p pattern) String() string {
	parts := make([]string, len(p))
	for i, l := range p {
		parts[i] = l.String()
	}
	return strings.Join(parts, ".")
}

func (l label) String() string {
	if l.placeholder == "" {
		return l.literal
	}
	return "{" + l.placeholder + "}" + l.literal
}

// isMany reports whether the pattern begins with one label or several.
func (p pattern) isMany() bool { return len(p) > 0 && p[0].placeholder == many }

// split cuts the pattern after its last placeholder: what is right of it is text.
func (p pattern) split() (left pattern, tail string) {
	cut := len(p)
	for cut > 0 && p[cut-1].placeholder == "" {
		cut--
	}
	return p[:cut], p[cut:].String()
}

// matches reports whether labels, from left to right, have this form.
func (p pattern) matches(labels []string) bool {
	extra := len(labels) - len(p)
	if extra < 0 || extra > 0 && !p.isMany() {
		return false
	}
	for _, text := range labels[:extra] {
		if !p[0].matches(text) {
			return false
		}
	}
	for i, l := range p {
		if !l.matches(labels[extra+i]) {
			return false
		}
	}
	return true
}

func (l label) matches(text string) bool {
	if l.placeholder == "" {
		return l.literal == text
	}
	captured, ok := strings.CutSuffix(text, l.literal)
	return ok && fits(l.placeholder, captured) && (!l.inZone || isHostLabel(captured))
}

// fits reports whether text may stand for the placeholder.
func fits(placeholder, text string) bool {
	switch placeholder {
	case "z":
		digits, ok := strings.CutPrefix(text, "z")
		return ok && len(digits) <= 2 && isDigits(digits)
	case "partitionId":
		return isDigits(text)
	case "stamp":
		dash := len(text) - len("-00")
		return dash > 0 && text[dash] == '-' && isDigits(text[dash+1:])
	default:
		// Nothing in front of a privatelink label is a public name.
		return text != "" && !isPrivatelink(text)
	}
}

// privatelink is the label that private zones have and public names do not.
const privatelink = "privatelink"

// isPrivatelink reports whether a label is that one, or the one that the global
// zone of Azure Virtual Desktop has in its place.
func isPrivatelink(label string) bool {
	return label == privatelink || label == privatelink+"-global"
}

func isDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != ""
}

// isHostLabel reports whether a label has nothing but what regions, instances and
// partitions are made of. A wildcard is not among it: it cannot name a zone.
func isHostLabel(text string) bool {
	for i := range len(text) {
		c := text[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return text != ""
}
