package daemon

import (
	"fmt"
	"testing"

	"pldns/config"
)

// A mistake that was made a thousand times is told twenty times.
func TestManyWarnings(t *testing.T) {
	toml := "[networks.hub]\nclients = [\"10.0.0.0/16\"]\n[networks.hub.endpoints]\n"
	for i := range 1000 {
		toml += fmt.Sprintf("\"db%d.databse.windows.net\" = \"10.0.1.4\"\n", i)
	}
	loaded, err := config.Parse("pldns.toml", []byte(toml), nil)
	if err != nil {
		t.Fatal(err)
	}
	texts := warningsOf(loaded, nil)
	if len(texts) != maxWarnings+1 || texts[maxWarnings] != "980 more: \"pldns check\" tells them all" {
		t.Errorf("%d texts, the last %q", len(texts), texts[len(texts)-1])
	}
}
