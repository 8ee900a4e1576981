package config

import (
	"strconv"

	"pldns/config/internal/tomlfile"
)

// Place says where in the files something is written. Its parts are shared
// between the places of one table, so that a million of them cost little.
type Place struct {
	File  string // as it was given, or relative to where the main file is
	table string // key path of the table that holds the key
	key   string // empty where the table itself is meant
	line  int32  // of a hosts file, which has no keys; 0 for a file in TOML
}

// Key is the key path in TOML's notation; empty for a line of a hosts file.
func (p Place) Key() string {
	if p.key == "" {
		return p.table
	}
	return join(p.table, p.key)
}

// String is the file and the key path, or the line of a hosts file.
func (p Place) String() string {
	if p.line > 0 {
		return p.File + ":" + strconv.Itoa(int(p.line))
	}
	return p.File + ": " + p.Key()
}

// below is the place of a key inside the table or list at p.
func (p Place) below(key string) Place { return Place{File: p.File, table: p.Key(), key: key} }

// at is the place of an element of the list at p.
func (p Place) at(i int) Place {
	return Place{File: p.File, table: p.Key() + "[" + strconv.Itoa(i) + "]"}
}

// join makes a key path longer by one key.
func join(path, key string) string { return tomlfile.Join(path, key) }

// bare tells whether TOML lets a key stand without quotes.
func bare(key string) bool { return tomlfile.IsBare(key) }
