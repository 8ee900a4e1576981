package azureimport

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// overlay are the files beside a configuration, as [config.Load] sees them, but for
// one that has other content. Names are those of the operating system, so that
// patterns which are absolute or lead upwards work as they do when serving.
type overlay struct {
	dir  string
	path string // of the other content; empty for none
	data []byte
}

// Open implements [fs.FS].
func (o overlay) Open(name string) (fs.File, error) { return os.Open(name) }

// ReadFile implements [fs.ReadFileFS].
func (o overlay) ReadFile(name string) ([]byte, error) {
	if o.path != "" && samePath(name, o.path) {
		return o.data, nil
	}
	return os.ReadFile(name)
}

// literalDir is the directory as a pattern that matches it alone.
func (o overlay) literalDir() string {
	if filepath.Separator == '\\' {
		return o.dir // such systems have no way to take a character literally
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(o.dir)
}

// Glob implements [fs.GlobFS]. A file that is not there yet is found too.
func (o overlay) Glob(pattern string) ([]string, error) {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(o.literalDir(), pattern)
	}
	found, err := filepath.Glob(pattern)
	if err != nil || o.path == "" {
		return found, err
	}
	same := func(name string) bool { return samePath(name, o.path) }
	if matches, _ := filepath.Match(pattern, filepath.Clean(o.path)); matches && !slices.ContainsFunc(found, same) {
		found = append(found, filepath.Clean(o.path))
		slices.Sort(found)
	}
	return found, nil
}
