package config_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"pldns/config"
)

const secretText = "mZ1Q7u8nM6yqf9pC0kM2yJ4Qk2m1bP6rX9sT3vW5zY8="

// copiesOf are the copies and transfers of a configuration in words.
func copiesOf(c *config.Config) (all []string) {
	for _, held := range c.Copies {
		for _, p := range held.Primaries {
			all = append(all, fmt.Sprintf("%s from %s %v for %v", held.Zone, p.Text, p.Key, held.Networks))
		}
	}
	for _, t := range c.Transfers {
		all = append(all, fmt.Sprintf("%s of %s to %v", t.Zone, t.Network, t.To))
	}
	return all
}

// A release says which zones are copies and by the name of which key. The secrets and the
// folder belong to the machine: nothing of them is in a release.
func TestCopiesOfARelease(t *testing.T) {
	collected, err := config.Collect(write(t, map[string]string{
		"pldns.toml": `[tsig."transfer.corp"]
secret = "` + secretText + `"
[tsig."site.copy"]
secret_file = "site.key"
[secondary]
state = "/var/lib/pldns/zones"
max_records = 7
[zones."corp.example"]
from = ["10.20.0.4"]
tsig = "transfer.corp"
transfer = ["10.30.0.4"]
transfer_tsig = "site.copy"
[zones."own.example"]
records = ["db A 10.0.1.4"]
[zones."two.example"]
from = ["10.20.0.4"]
[networks.hub]
clients = ["10.0.0.0/16", "10.30.0.4"]
`, "site.key": secretText,
	}))
	if err != nil || collected.Config == nil {
		t.Fatal(err, collected.Faults)
	}
	if len(collected.Files) != 1 {
		t.Errorf("the release has the files %v", collected.Files)
	}
	main := string(collected.Files[collected.Main])
	for _, secret := range []string{secretText, "site.key", "/var/lib"} {
		if strings.Contains(main, secret) {
			t.Errorf("%s is in the release:\n%s", secret, main)
		}
	}
	alone, err := config.ParseRelease(&config.Release{
		ID: fleetID, Main: "pldns.toml", Files: fstest.MapFS{"pldns.toml": {Data: []byte(main)}},
	})
	if err != nil || len(alone.Warnings) > 0 {
		t.Fatal(err, alone.Warnings)
	}
	released := release(map[string]string{"pldns.toml": main})
	_, err = config.LoadWith(write(t, map[string]string{"pldns.toml": machine}), released)
	if err == nil || !strings.Contains(err.Error(), `key "transfer.corp" is not declared: declare [tsig."transfer.corp"] in the main file`) {
		t.Errorf("a machine without the keys: %v", err)
	}
	own, err := config.LoadWith(write(t, map[string]string{"pldns.toml": machine + `
[tsig."transfer.corp"]
secret = "` + secretText + `"
[tsig."site.copy"]
secret = "` + secretText + `"
[secondary]
state = "zones"
[zones."own.example"]
from = ["10.20.0.9"]
[zones."two.example"]
records = ["db A 10.9.1.4"]
`}), released)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"corp.example from 10.20.0.4 transfer.corp hmac-sha256 for [hub]", "own.example from 10.20.0.9 <nil> for [hub]",
		"corp.example of hub to [10.30.0.4/32]",
	}
	if diff := cmp.Diff(want, copiesOf(own)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if filepath.Base(own.Secondary.State) != "zones" || own.Secondary.MaxRecords != 7 {
		t.Errorf("%+v", own.Secondary)
	}
}

// Whatever prints a configuration, or a fault of it, tells no secret.
func TestSecretsAreNotTold(t *testing.T) {
	good := "[tsig.\"transfer.corp\"]\nsecret = \"" + secretText + "\"\n[networks.hub]\nclients = [\"10.0.0.0/16\"]\n"
	c, err := config.Parse("pldns.toml", []byte(good), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%v %+v", c.Keys, c.Keys), fmt.Sprintf("%#v", c.Keys), c.Warnings.Error()} {
		if strings.Contains(text, secretText[:6]) || strings.Contains(text, fmt.Sprint(c.Keys[0].Secret[:2])[1:]) {
			t.Errorf("the secret is in %s", text)
		}
	}
	for _, value := range []string{secretText, `"` + secretText[:8] + `"`, `"` + secretText[1:] + `"`, `["` + secretText + `"]`, `'''` + secretText} {
		_, err := config.Parse("pldns.toml", []byte(strings.Replace(good, `"`+secretText+`"`, value, 1)), nil)
		if err == nil || strings.Contains(err.Error(), secretText[1:7]) {
			t.Errorf("secret = %s: %v", value, err)
		}
	}
}

// A file with a secret that every user may read is told of: one for the secret alone, and the
// main file, where that has it.
func TestSecretFileModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such modes")
	}
	for _, test := range []struct {
		key, secret string
		modes       map[string]fs.FileMode
		want        string
	}{
		{"secret_file", "transfer.key", map[string]fs.FileMode{"transfer.key": 0o640}, ""},
		{"secret_file", "transfer.key", map[string]fs.FileMode{"transfer.key": 0o644}, "transfer.key can be read by every user of this machine"},
		{"secret_file", "transfer.key", map[string]fs.FileMode{"pldns.toml": 0o644}, ""},
		{"secret", secretText, map[string]fs.FileMode{"pldns.toml": 0o640}, ""},
		{"secret", secretText, map[string]fs.FileMode{"pldns.toml": 0o644}, "pldns.toml can be read by every user of this machine"},
	} {
		path := write(t, map[string]string{
			"pldns.toml": "[tsig.\"transfer.corp\"]\n" + test.key + " = \"" + test.secret + "\"\n[networks.hub]\nclients = [\"10.0.0.0/16\"]\n" +
				"[secondary]\nstate = \"zones\"\n[zones.\"corp.example\"]\nfrom = [\"10.20.0.4\"]\ntsig = \"transfer.corp\"\n",
			"transfer.key": secretText + "\n",
		})
		for file, mode := range test.modes {
			if err := os.Chmod(filepath.Join(filepath.Dir(path), file), mode); err != nil {
				t.Fatal(err)
			}
		}
		c, err := config.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		said := c.Warnings.Error()
		if test.want == "" && said != "" || !strings.Contains(said, test.want) || strings.Contains(said, secretText[:6]) {
			t.Errorf("%s with modes %v: %q", test.key, test.modes, said)
		}
		if want := "tsig.\"transfer.corp\"." + test.key + ": "; test.want != "" && !strings.Contains(said, want) {
			t.Errorf("%q does not name %s", said, want)
		}
		files := c.SecondaryFiles()
		if test.key == "secret_file" && (len(files) != 1 || filepath.Base(files[0]) != "transfer.key") {
			t.Errorf("files that were read: %v", files)
		}
	}
}
