package deploy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pldns/config"
)

// kit is a way to run the program: its configuration, and the files that have to agree
// with it.
type kit struct {
	name, config string
	// volume is what makes the folder of the history of traffic one that outlives the
	// program, by file; reach is what makes a way to the page.
	volume, reach map[string]string
	page          string // the document that says the way
}

func kits() []kit {
	return []kit{
		{"compose", "compose/etc/pldns.toml",
			map[string]string{"compose/compose.yaml": "- history:/var/lib/pldns\n", "../Dockerfile": "-m 1777 /out/var/lib/pldns "},
			map[string]string{"compose/compose.yaml": `- "127.0.0.1:${PLDNS_PAGE_PORT:-8053}:8053/tcp"`}, "compose/README.md"},
		{"kubernetes", "kubernetes/pldns.toml",
			map[string]string{"kubernetes/deployment.yaml": "- {name: state, mountPath: /var/lib/pldns}\n"},
			map[string]string{"kubernetes/README.md": "kubectl -n pldns port-forward deployment/pldns 8053:8053",
				"kubernetes/service.yaml": "- {name: admin, port: 8053, targetPort: admin, protocol: TCP}"}, "kubernetes/README.md"},
		{"azure", "azure/pldns.toml",
			map[string]string{"azure/cloud-init.yaml": "-v /var/lib/pldns:/var/lib/pldns ", "azure/apply.sh": "chown 65532:65532 /var/lib/pldns\n"},
			map[string]string{"azure/hub.bicep": "destinationPortRanges: ['22', '8053']", "azure/hub.tf": `["22", "8053"]`,
				"azure/README.md": "--resource-port 8053 --port 8053"}, "azure/README.md"},
		{"deb", "deb/pldns.toml", map[string]string{"systemd/pldns.service": "\nStateDirectory=pldns\n"},
			map[string]string{"systemd/README.md": "ssh -L 8053:127.0.0.1:8053 MACHINE"}, "systemd/README.md"},
	}
}

// Each kit keeps the history of traffic where a restart finds it, and has a way to the
// page, which its document goes from nothing on.
func TestKits(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	put(t, token, "0123456789abcdef0123456789abcdef")
	for _, k := range kits() {
		file := filepath.Join(t.TempDir(), "pldns.toml")
		put(t, file, tokenFile.ReplaceAllString(read(t, k.config), `admin_token_file = "`+token+`"`))
		c, err := config.Load(file)
		if err != nil {
			t.Errorf("%s: %v", k.name, err)
			continue
		}
		if c.Traffic.State != "/var/lib/pldns/traffic.json" || c.Listen.Admin.Port() != 8053 {
			t.Errorf("%s keeps history in %q, and has the page at %s", k.name, c.Traffic.State, c.Listen.Admin)
		}
		for _, wanted := range []map[string]string{k.volume, k.reach} {
			for file, text := range wanted {
				if !strings.Contains(read(t, file), text) {
					t.Errorf("%s: %s has no %q", k.name, file, text)
				}
			}
		}
		_, walk, found := strings.Cut(read(t, k.page), "\n## From nothing to the page\n")
		if walk, _, _ = strings.Cut(walk, "\n## "); !found || !strings.Contains(walk, "http://127.0.0.1:8053/") {
			t.Errorf("%s: %s does not go from nothing to the page", k.name, k.page)
		}
	}
}

// No kit comes with a token: each makes its own, and without one the admin address that
// others could reach is not opened.
func TestNoTokenIsShipped(t *testing.T) {
	for _, k := range kits() {
		text := read(t, k.config)
		if strings.Contains(text, "admin_token_file") {
			if _, err := os.Stat(filepath.Join(filepath.Dir(k.config), "admin.token")); err == nil {
				t.Errorf("%s: a token lies beside the configuration", k.name)
			}
			file := filepath.Join(t.TempDir(), "pldns.toml")
			put(t, file, text)
			if _, err := config.Load(file); err == nil || !strings.Contains(err.Error(), "listen.admin_token_file") {
				t.Errorf("%s without a token: %v", k.name, err)
			}
		}
	}
}
