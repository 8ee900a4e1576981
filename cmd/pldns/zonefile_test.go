package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// serialOfSOA is the one number of a zone file that is another each time.
var serialOfSOA = regexp.MustCompile(`(nobody\.invalid\. )\d{10}\b`)

const databaseInEurope = `privatelink.database.windows.net. 10 IN SOA ns.invalid. nobody.invalid. SERIAL 3600 1200 604800 10
privatelink.database.windows.net. 3600 IN NS ns.invalid.
momenta-aue.privatelink.database.windows.net. 10 IN A 10.0.1.5
momenta-eun.privatelink.database.windows.net. 10 IN A 10.0.1.4
`

// A zone is written as its network sees it, of a file and of a running server alike, and other
// servers load it as it is.
func TestExportZone(t *testing.T) {
	r := start(t, regions(upstreamTable(azureDNS(t).Addr)))
	token := filepath.Join(filepath.Dir(r.file), "admin.token")
	wrong := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(wrong, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		args string
		code int
		want string // what stands in the zone, or in what is said of the fault
	}{
		{"-c " + r.file + " --network europe", exitFine, databaseInEurope},
		{"--server " + r.admin + " --token-file " + token + " --network europe", exitFine, databaseInEurope},
		{"-c " + r.file + " --network australia", exitFine, "momenta-aue.privatelink.database.windows.net. 10 IN A 10.1.1.4\n"},
		{"-c " + r.file, exitNo, "name one of australia, europe, strict"},
		{"-c " + r.file + " --network strict", exitNo, "network strict has no zone privatelink.database.windows.net: it has privatelink.blob.core.windows.net"},
		{"-c " + r.file + " --network nowhere", exitNo, "there is no network nowhere"},
		{"--server " + r.admin + " --network europe", exitNo, "--token-file FILE sends the token"},
		{"--server " + r.admin + " --token-file " + wrong + " --network europe", exitNo, "401"},
		{"--server " + r.admin + " --token-file " + token + " --network nowhere", exitNo, "there is no network nowhere"},
		{"--token-file " + token + " --network europe", exitUsage, "--token-file is for --server"},
		{"--server 127.0.0.1:1 --network europe", exitNo, "is it the admin address of a running pldns?"},
	} {
		var stdout, stderr bytes.Buffer
		args := append([]string{"export", "zone", "privatelink.database.windows.net"}, strings.Fields(row.args)...)
		code := run(t.Context(), args, &stdout, &stderr)
		got := stderr.String()
		if row.code == exitFine {
			got = strings.ReplaceAll(serialOfSOA.ReplaceAllString(stdout.String(), "${1}SERIAL"), "\t", " ")
		}
		if code != row.code || !strings.Contains(got, row.want) {
			t.Errorf("%s: exit code %d\n got %s\nwant %s", row.args, code, got, row.want)
		}
		if row.want == databaseInEurope {
			loadedElsewhere(t, stdout.String())
		}
	}
}

// loadedElsewhere has the programs of other servers check a zone file.
func loadedElsewhere(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{
		{"named-checkzone", "privatelink.database.windows.net", file}, {"kzonecheck", "-o", "privatelink.database.windows.net", file},
	} {
		t.Run(command[0], func(t *testing.T) {
			path := find(t, command[0])
			if said, err := exec.CommandContext(t.Context(), path, command[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, said)
			}
		})
	}
}
