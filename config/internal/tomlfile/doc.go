// Package tomlfile reads TOML files with github.com/BurntSushi/toml, and says where
// in them everything stands: the library tells the place of the value of a key that
// is there once, so that each statement of a file is also given to it alone.
//
// It is the only package that knows the library.
package tomlfile
