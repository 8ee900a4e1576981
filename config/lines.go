package config

import (
	"sync"

	"pldns/config/internal/tomlfile"
)

// mostText is how much text of one file in TOML is kept for its lines: some 15,000
// mappings, which is more than anybody reads.
const mostText = 1 << 20

// lines finds the lines of what stands in files in TOML. To find them takes as long as
// to load the files, so it is done when somebody asks for the first time; the texts are
// kept for that. Any number of goroutines may use it.
type lines map[string]*textLines // by file; the map does not change

type textLines struct {
	once  sync.Once
	text  string // empty once found is made
	found tomlfile.Lines
}

// newLines keeps what was read of files in TOML, but for long ones.
func newLines(documents map[string]*document) lines {
	l := make(lines)
	for name, d := range documents {
		if !d.isHosts && len(d.text) <= mostText {
			l[name] = &textLines{text: d.text}
		}
	}
	return l
}

// of is the line of a place in TOML, or of what holds it; 0 where it is not known.
func (l lines) of(p Place) int {
	file := l[p.File()]
	if file == nil {
		return 0
	}
	file.once.Do(func() { file.found, file.text = tomlfile.NewLines(file.text), "" })
	return file.found.Line(p.Key())
}
