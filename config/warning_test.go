package config

import (
	"os"
	"testing"
	"testing/fstest"
	"time"

	"pldns/zones/azure"
)

// What is said of a certificate follows from the time that is left.
func TestCertificateWarnings(t *testing.T) {
	files := memoryFiles{fstest.MapFS{}}
	for _, name := range []string{"expired.crt", "expired.key"} {
		data, err := os.ReadFile("testdata/keys/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files.fsys.(fstest.MapFS)[name] = &fstest.MapFile{Data: data}
	}
	document := []byte(`
[listen]
doh = [":443"]
[tls]
cert = "expired.crt"
key = "expired.key"
[networks.hub]
clients = ["10.0.0.0/16"]
`)
	for now, want := range map[string]string{
		"2023-12-31T12:00:00Z": "the certificate is not valid before 2024-01-01",
		"2024-06-01T00:00:00Z": "",
		"2024-12-17T23:59:59Z": "",
		"2024-12-18T00:00:01Z": "the certificate expires on 2025-01-01, in 13 days",
		"2024-12-31T23:00:00Z": "the certificate expires on 2025-01-01, in 0 days",
		"2025-01-01T00:00:01Z": "the certificate expired on 2025-01-01: clients refuse it",
	} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		report := newLoader("pldns.toml", files, azure.New(), at).examine(document)
		got := ""
		for _, warning := range report.Warnings {
			got += warning.Text
		}
		if got != want || len(report.Faults) > 0 {
			t.Errorf("at %s: %q, %v, want %q", now, got, report.Faults, want)
		}
	}
}
