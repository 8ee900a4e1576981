package config

import (
	"strconv"
	"unique"

	"pldns/config/internal/tomlfile"
)

// Place says where in the files something is written. It is comparable. The zero Place
// is nowhere.
type Place struct {
	in   sectionHandle
	key  string // empty where the table itself is meant
	line int32  // of a hosts file, which has no keys; 0 for a file in TOML
}

// section is what the places of one table have in common.
type section struct {
	file  string // as it was given, or relative to where the main file is
	table string // key path of the table that holds the key; empty for the root
}

// placeOf is the place of a table, or of the list element with that key path.
func placeOf(file, table string) Place { return Place{in: unique.Make(section{file, table})} }

// section is what p has in common with others; the zero Place has nothing.
func (p Place) section() section {
	if p == (Place{}) {
		return section{}
	}
	return p.in.Value()
}

// File is the file as it was given to [Load], or relative to where that is.
func (p Place) File() string { return p.section().file }

// Key is the key path in TOML's notation; empty for a line of a hosts file.
func (p Place) Key() string {
	if p.key == "" {
		return p.section().table
	}
	return join(p.section().table, p.key)
}

// String is the file and the key path, or the line of a hosts file.
func (p Place) String() string {
	if p.line > 0 {
		return p.File() + ":" + strconv.Itoa(int(p.line))
	}
	return p.File() + ": " + p.Key()
}

// below is the place of a key inside the table or list at p.
func (p Place) below(key string) Place {
	inner := placeOf(p.File(), p.Key())
	inner.key = key
	return inner
}

// at is the place of an element of the list at p.
func (p Place) at(i int) Place { return placeOf(p.File(), p.Key()+"["+strconv.Itoa(i)+"]") }

// join makes a key path longer by one key.
func join(path, key string) string { return tomlfile.Join(path, key) }

// bare reports whether TOML lets a key stand without quotes.
func bare(key string) bool { return tomlfile.IsBare(key) }
