package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pldns/config"
)

// A configuration is read once more just after the start only where it may have
// changed meanwhile: one that is in no file cannot have.
func TestReadOnceMore(t *testing.T) {
	file := func(age time.Duration) string {
		name := filepath.Join(t.TempDir(), "pldns.toml")
		if err := os.WriteFile(name, config.Example(), 0o600); err != nil {
			t.Fatal(err)
		}
		if at := time.Now().Add(-age); os.Chtimes(name, at, at) != nil {
			t.Fatal("the file keeps its time")
		}
		return name
	}
	for _, test := range []struct {
		what, name string
		again      bool
	}{
		{"the built-in example", "the built-in example", false},
		{"a file", file(time.Hour), false},
		{"a file that may have been written since", file(-time.Hour), true},
	} {
		t.Run(test.what, func(t *testing.T) {
			s, err := New(Options{
				File: test.name, Load: func(config.Releases) (*config.Config, error) { return config.Parse(test.name, config.Example(), nil) },
				Log: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			if again := s.first != s.signature(); again != test.again {
				t.Errorf("it is read once more: %v, want %v", again, test.again)
			}
		})
	}
}
