package clientconfig_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every kind in every format is what the golden files hold, which have been read
// by a person. PowerShell and Bicep are shown by these alone: nothing here parses
// them. UPDATE_GOLDEN=1 writes the files.
func TestGolden(t *testing.T) {
	for _, o := range outputs() {
		t.Run(o.String(), func(t *testing.T) {
			got := render(t, o, sample(t, "europe"))
			file := filepath.Join("testdata", "golden", o.String())
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("not as in the file (-file +written):\n%s", diff)
			}
		})
	}
}

// The comments of every kind say what an operator has to know.
func TestCommentsSayWhatToDo(t *testing.T) {
	for _, o := range outputs() {
		if o.String() == "bind-options" {
			continue // it says that those of the zones hold for it
		}
		t.Run(o.String(), func(t *testing.T) {
			text := render(t, o, sample(t, "europe"))
			prose := strings.Join(strings.Fields(strings.NewReplacer("#", "", "//", "").Replace(text)), " ")
			for _, words := range []string{"Apply ", "Test ", "Remove ", "privatelink zones", "clients of the network"} {
				if !strings.Contains(prose, words) {
					t.Errorf("does not say %q", words)
				}
			}
			for line := range strings.Lines(text) {
				if strings.TrimRight(line, " \t\n") != strings.TrimSuffix(line, "\n") {
					t.Errorf("%q ends in blanks", line)
				}
			}
		})
	}
}
