package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"pldns/cmd/internal/daemon"
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
	if _, err := daemon.New(daemon.Options{
		Load: func(config.Releases) (*config.Config, error) { return config.Load(file) }, Log: slog.New(slog.NewTextHandler(&log, nil)),
	}); err != nil {
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
