package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"pldns/config"
)

// What is served and probably not meant is in the log, at the start and after a
// reload, on the page and in /readyz.
func TestWarningsAreShown(t *testing.T) {
	const toml = `
[listen]
dns = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
` + withToken + `
[networks.hub]
clients = ["127.0.0.0/8"]
[networks.hub.endpoints]
"mydb.databse.windows.net" = "10.0.1.4"
`
	file := writeConfig(t, toml)
	var log bytes.Buffer
	if _, err := newServer(func() (*config.Config, error) { return config.Load(file) }, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "it looks like mydb.database.windows.net") {
		t.Errorf("the log says %s", log.String())
	}
	r := start(t, toml)
	for _, path := range []string{"/", "/readyz"} {
		if body := r.get(path); !strings.Contains(body, "it looks like mydb.database.windows.net") {
			t.Errorf("%s says %s", path, body)
		}
	}
	if code, said := r.edit(t, "databse", "database"); code != http.StatusOK {
		t.Fatalf("%d %s", code, said)
	}
	for _, path := range []string{"/", "/readyz"} {
		if body := r.get(path); strings.Contains(body, "it looks like") || strings.Contains(body, "warnings") {
			t.Errorf("%s still says %s", path, body)
		}
	}
}

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
	texts := warningsOf(loaded)
	if len(texts) != maxWarnings+1 || texts[maxWarnings] != "980 more: \"pldns check\" tells them all" {
		t.Errorf("%d texts, the last %q", len(texts), texts[len(texts)-1])
	}
}
