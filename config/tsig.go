package config

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pldns/zones"
)

// Key is a secret that servers sign messages with (TSIG, RFC 8945): a table of [tsig].
type Key struct {
	Name zones.Name // as both servers write it
	// Algorithm is "hmac-sha256" or another of its kind, without a dot at its end.
	Algorithm string
	Secret    []byte `json:"-"`
	File      string // that Secret is from; empty where the main file has it
}

// String is the name and the algorithm: whatever prints a key does not print its secret.
func (k Key) String() string { return k.Name.String() + " " + k.Algorithm }

// GoString is the same.
func (k Key) GoString() string { return k.String() }

const (
	defaultAlgorithm = "hmac-sha256"
	exampleKey       = "transfer.corp"
	exampleSecret    = "transfer.key"
	// minSecret is how many octets a secret has at least: fewer are found by trying.
	minSecret = 16
	// minVariety is how many different octets it has at least; what is drawn at random does.
	minVariety = 8
)

// algorithmSizes are the algorithms, with the octets of what each makes: RFC 8945 section
// 8 wants a secret of as many.
func algorithmSizes() map[string]int {
	return map[string]int{"hmac-sha1": 20, "hmac-sha224": 28, "hmac-sha256": 32, "hmac-sha384": 48, "hmac-sha512": 64}
}

// keyDraft is a key while the files are read.
type keyDraft struct {
	Key
	place Place
	used  bool
}

// tsig reads the keys, which belong to the machine.
func (l *loader) tsig(root table, files files) {
	t, _ := root.sub("tsig")
	known := []string{"algorithm", "secret", "secret_file"}
	for _, text := range t.keys() {
		value, _ := t.get(text)
		if names := unquoted(text, value, known...); len(names) > 0 {
			l.rep.add(t.place(text), unquotedFault(names))
			continue
		}
		inner, ok := t.sub(text)
		if !ok {
			continue
		}
		inner.only(known...)
		name, err := zones.ParseName(text)
		if err != nil || name.IsRoot() || name.IsWildcard() {
			l.rep.add(t.place(text), faultf(fmt.Sprintf("write a name as in [tsig.%q]", exampleKey), "%q is no name for a key", text))
			continue
		}
		if first := l.keys[name]; first != nil {
			l.rep.clash(inner.here(), first.place, faultf("keep one of the two", "key %s is declared twice", name))
			continue
		}
		draft := &keyDraft{place: inner.here(), Key: Key{Name: name}}
		l.keys[name] = draft
		draft.Algorithm = l.algorithm(inner)
		draft.Secret, draft.File = l.secret(inner, draft.Algorithm, files)
	}
}

// algorithm reads what a key is for.
func (l *loader) algorithm(t table) string {
	text, given := t.text("algorithm", defaultAlgorithm)
	if !given {
		return defaultAlgorithm
	}
	text = strings.ToLower(strings.TrimSuffix(text, "."))
	remedy := "write one of " + strings.Join(slices.Sorted(maps.Keys(algorithmSizes())), ", ") + ", as the other server does"
	switch _, known := algorithmSizes()[text]; {
	case strings.HasPrefix(text, "hmac-md5"):
		l.rep.add(t.place("algorithm"), faultf("have a key made for "+defaultAlgorithm+", on both servers",
			"%s is not spoken here: RFC 8945 does not want it used", text))
	case !known:
		l.rep.add(t.place("algorithm"), faultf(remedy, "%q is no algorithm of TSIG", text))
	case text == "hmac-sha1":
		l.rep.warn(t.place("algorithm"), faultf("have a key made for "+defaultAlgorithm+", on both servers",
			"%s is out of date (RFC 8945 section 6)", text))
		return text
	default:
		return text
	}
	return defaultAlgorithm
}

// secret reads the secret of a key, of the file itself or of another one. No message
// repeats any of it.
func (l *loader) secret(t table, algorithm string, files files) (secret []byte, file string) {
	at := t.place("secret")
	text, given := "", false
	switch inFile := t.has("secret_file"); {
	case inFile && t.has("secret"):
		l.rep.add(t.place("secret_file"), &fault{"a key has one secret", "remove secret or secret_file"})
		return nil, ""
	case inFile:
		at = t.place("secret_file")
		var data []byte
		if data, given = l.pem(t, "secret_file", exampleSecret, &file, files); given {
			text = string(data)
			l.warnOfReaders(at, file, files)
		}
	case t.has("secret"):
		text, given = t.text("secret", "base64")
		l.warnOfReaders(at, l.main, files)
	default:
		l.rep.add(t.here(), faultf(fmt.Sprintf("add secret_file = %q, a file with the secret in base64", exampleSecret), "has no secret"))
	}
	if !given {
		return nil, file
	}
	secret, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	variety := make(map[byte]bool)
	for _, octet := range secret {
		variety[octet] = true
	}
	const remedy = `write one that is drawn at random, such as "openssl rand -base64 32" prints, on both servers`
	switch size := algorithmSizes()[algorithm]; {
	case err != nil:
		l.rep.add(at, faultf("write the secret alone, which tsig-keygen prints between quotes", "the secret is no base64"))
	case len(secret) < minSecret:
		l.rep.add(at, faultf(remedy, "the secret has %d octets, fewer than %d", len(secret), minSecret))
	case len(variety) < minVariety:
		l.rep.add(at, faultf(remedy, "the secret has fewer than %d different octets, and is found by trying", minVariety))
	case len(secret) < size:
		l.rep.warn(at, faultf(remedy, "the secret has %d octets, and %s is as strong as it should be from %d on (RFC 8945 section 8)",
			len(secret), algorithm, size))
	}
	return secret, file
}

// warnOfReaders reports a file with a secret that every user of the machine may read.
func (l *loader) warnOfReaders(at Place, file string, files files) {
	if files.public(file) {
		l.rep.warn(at, faultf("take that from them: chmod o-r "+file, "%s can be read by every user of this machine", file))
	}
}

// keyNamed is the key that a value names, which is in use then; nil, with a fault, where
// there is none. A release does not have those of the machines.
func (l *loader) keyNamed(e entry) *keyDraft {
	name, err := zones.ParseName(e.text)
	if draft := l.keys[name]; err == nil && draft != nil {
		draft.used = true
		return draft
	}
	if l.anywhere && err == nil {
		return &keyDraft{Key: Key{Name: name}}
	}
	remedy := fmt.Sprintf("declare [tsig.%q] in the main file", e.text)
	if len(l.keys) > 0 {
		var known []string
		for _, name := range slices.SortedFunc(maps.Keys(l.keys), zones.Name.Compare) {
			known = append(known, name.String())
		}
		remedy += ", or write one of: " + strings.Join(known, ", ")
	}
	l.rep.add(e.place, faultf(remedy, "key %q is not declared", e.text))
	return nil
}

// finishKeys lists the keys, and warns of those that nothing is signed with. A machine
// that waits for its release does not know yet what uses them.
func (l *loader) finishKeys() {
	waits := l.config.Store != nil && l.config.Release == nil
	for _, name := range slices.SortedFunc(maps.Keys(l.keys), zones.Name.Compare) {
		draft := l.keys[name]
		l.config.Keys = append(l.config.Keys, draft.Key)
		if !draft.used && !waits && !l.own {
			l.rep.warn(draft.place, faultf("name it in tsig or transfer_tsig of a zone, or remove it",
				"nothing is signed with key %s", name))
		}
	}
}
