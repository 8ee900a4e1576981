package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	shownServing = regexp.MustCompile(`(?m)^ +(level=INFO msg=serving .*|\{"level":"INFO","msg":"serving".*)$`)
	shownAddrs   = regexp.MustCompile(`127\.0\.0\.1:\d+|0\.0\.0\.0:\d+|\[::\]:\d+`)
	shownTime    = regexp.MustCompile(`^time=\S+ |"time":"[^"]*",`)
)

// What the ways from nothing to the page show of the log is what the program writes with
// the configuration of the kit, but for the time and the ports.
func TestWalksShowTheLog(t *testing.T) {
	for document, of := range map[string]string{
		"compose/README.md": "compose/etc/pldns.toml", "kubernetes/README.md": "kubernetes/pldns.toml", "systemd/README.md": "",
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", "deploy", document))
		if err != nil {
			t.Fatal(err)
		}
		shown := shownServing.FindSubmatch(text)
		if shown == nil {
			t.Errorf("%s does not show where clients are answered", document)
			continue
		}
		toml := regexp.MustCompile("(?s)```toml\n# pldns.toml\n(.*?)```").FindSubmatch(text)
		if of != "" {
			kit, err := os.ReadFile(filepath.Join("..", "..", "deploy", of))
			if err != nil {
				t.Fatal(err)
			}
			toml = [][]byte{nil, kit}
		}
		p := runPldns(t, "serve", "-c", writeConfig(t, elsewhere(string(toml[1]), t.TempDir())))
		got := shownTime.ReplaceAllString(p.line("serving"), "")
		if got, want := shownAddrs.ReplaceAllString(got, "ADDRESS"), shownAddrs.ReplaceAllString(string(shown[1]), "ADDRESS"); got != want {
			t.Errorf("%s shows\n%s\nand the program writes\n%s", document, want, got)
		}
	}
}

// elsewhere is a configuration with free ports, and with its state in another folder.
func elsewhere(toml, folder string) string {
	if !strings.Contains(toml, "dns = [") {
		toml = strings.Replace(toml, "[listen]", "[listen]\ndns = [\":0\"]", 1)
	}
	for from, to := range map[string]string{
		`":1053"`: `":0"`, `"127.0.0.1:53"`: `"127.0.0.1:0"`, `admin = ":8053"`: `admin = ":0"`, "/var/lib/pldns": folder, "/etc/pldns-admin/token": "admin.token",
	} {
		toml = strings.ReplaceAll(toml, from, to)
	}
	if !strings.Contains(toml, "admin = ") {
		toml = strings.Replace(toml, "[listen]", "[listen]\nadmin = \"127.0.0.1:0\"", 1)
	}
	return toml
}
