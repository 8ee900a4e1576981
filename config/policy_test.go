package config_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"pldns/config"
	"pldns/zones"
)

// says is what the policies of a network say of names, in their order.
func says(t *testing.T, c *config.Config, network string, names ...string) (said []string) {
	t.Helper()
	for i := range c.Networks {
		if c.Networks[i].Name != network {
			continue
		}
		for _, p := range c.Networks[i].Policies {
			for _, name := range names {
				if m, found := p.Match(zones.MustName(name)); found {
					said = append(said, p.Name()+" "+m.Entry+" "+m.Rule.Action.String())
				}
			}
		}
	}
	return said
}

// A release has the files of policies in it, and is served with them; of a policy that the
// machine has, too, only that of the machine counts, all of it.
func TestPoliciesOfARelease(t *testing.T) {
	collected, err := config.Collect(write(t, map[string]string{
		"pldns.toml": `
[policy.corp]
files = ["policy.d/*.rpz"]
action = "nodata"
[policy.ads]
files = ["policy.d/ads.txt"]
[networks.hub]
clients = ["10.0.0.0/16"]
policy = ["corp", "ads"]
`,
		"policy.d/corp.rpz": "$TTL 60\n@ SOA . . 1 1 1 1 1\nbad.example CNAME .\n", "policy.d/ads.txt": "0.0.0.0 ads.example\n",
	}))
	if err != nil || collected.Config == nil {
		t.Fatal(err, collected.Faults)
	}
	fsys, files := make(fstest.MapFS), make(map[string]string)
	for name, data := range collected.Files {
		fsys[name] = &fstest.MapFile{Data: data}
		files[name] = string(data)
	}
	alone, err := config.ParseRelease(&config.Release{ID: fleetID, Main: collected.Main, Files: fsys})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"corp bad.example nodata", "ads ads.example nxdomain"}, says(t, alone, "hub", "bad.example", "ads.example")); diff != "" {
		t.Errorf("the release alone (-want +got)\n%s", diff)
	}
	own, err := config.LoadWith(write(t, map[string]string{
		"pldns.toml": machine + "[policy.corp]\nfiles = [\"own.txt\"]\n", "own.txt": "own.example\n",
	}), release(files))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"corp own.example nxdomain", "ads ads.example nxdomain"}
	if diff := cmp.Diff(want, says(t, own, "hub", "bad.example", "own.example", "ads.example")); diff != "" {
		t.Errorf("with a policy of the machine (-want +got)\n%s", diff)
	}
}

// One table for each policy: what two files say of one is a fault that names both.
func TestPolicyTwice(t *testing.T) {
	const table = "[policy.ads]\nfiles = [\"ads.txt\"]\n"
	_, err := config.Load(write(t, map[string]string{
		"pldns.toml": "files = [\"more.toml\"]\n[networks.hub]\nclients = [\"10.0.0.0/16\"]\npolicy = [\"ads\"]\n" + table, "more.toml": table,
		"ads.txt": "ads.example\n",
	}))
	if err == nil || !strings.Contains(err.Error(), "policy ads is defined twice; the other place is policy.ads (") {
		t.Error(err)
	}
}
