package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// A health check says yes of a server that serves, and no of anything else.
func TestProbe(t *testing.T) {
	serving := start(t, `
[listen]
dns = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
[networks.office]
clients = ["127.0.0.0/8"]
[networks.office.endpoints]
"mydb.database.windows.net" = "10.0.1.4"
`)
	unready := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"ready": false}`, http.StatusServiceUnavailable)
	}))
	defer unready.Close()
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{}`)) // the client decides what it makes of less
	}))
	defer stranger.Close()

	for _, test := range []struct {
		name, server string
		code         int
		says         string
	}{
		{"a server that serves", serving.admin, exitFine, "ready: networks: 1, endpoints: 1"},
		{"the same as a URL", "http://" + serving.admin, exitFine, "ready"},
		{"one that is not ready", unready.URL, exitNo, "503"},
		{"something else", stranger.URL, exitNo, "does not say that it is ready"},
		{"nobody", "127.0.0.1:1", exitNo, "is it the admin address of a running pldns?"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			code := run(t.Context(), []string{"probe", "--server", test.server}, &out, &out)
			if code != test.code || !strings.Contains(out.String(), test.says) {
				t.Errorf("exit %d, %q; want exit %d and %q", code, out.String(), test.code, test.says)
			}
		})
	}
}

// The example is served only where nothing at all is configured.
func TestServeOrExample(t *testing.T) {
	present := t.TempDir()
	absent := filepath.Join(present, "absent")
	for _, test := range []struct {
		name, folder, environment string
		args                      []string
		want                      bool
	}{
		{"no folder", absent, "", []string{"--or-example"}, true},
		{"not asked for", absent, "", nil, false},
		{"a folder without the file", present, "", []string{"--or-example"}, false},
		{"a file is named", absent, "", []string{"--or-example", "-c", "absent.toml"}, false},
		{"the environment names a file", absent, "absent.toml", []string{"--or-example"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("PLDNS_CONFIG", test.environment)
			serve := orExample(newServe(), test.folder)
			serve.SetErr(new(bytes.Buffer))
			if err := serve.ParseFlags(test.args); err != nil {
				t.Fatal(err)
			}
			if err := serve.PreRunE(serve, nil); err != nil {
				t.Fatal(err)
			}
			if got := serve.Flags().Changed("example"); got != test.want {
				t.Errorf("serves the example: %v, want %v", got, test.want)
			}
		})
	}
}
