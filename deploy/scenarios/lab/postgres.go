//go:build linux

package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// postgresPrograms is where Debian has the programs of the server.
const postgresPrograms = "/usr/lib/postgresql/*/bin/postgres"

// NeedsPostgres skips the test, or fails it, where there is no PostgreSQL.
func (l *Lab) NeedsPostgres() {
	l.tb.Helper()
	if found, _ := filepath.Glob(postgresPrograms); len(found) > 0 {
		return
	}
	lacks(l.tb, "a PostgreSQL server, as Debian installs it")
}

// Postgres makes the host a PostgreSQL server that takes clients over TLS only, and
// waits until it does. Its cluster_name is what it says.
func (h *Host) Postgres(address, says string, certificate Certificate) *Process {
	h.lab.tb.Helper()
	found, _ := filepath.Glob(postgresPrograms)
	slices.Sort(found)
	programs := filepath.Dir(found[len(found)-1])
	data := filepath.Join(h.lab.Dir, "postgres-"+h.space)
	as := []string{"--reuid=postgres", "--regid=postgres", "--clear-groups", "--"}
	if err := os.Mkdir(data, 0o700); err != nil {
		h.lab.tb.Fatal(err)
	}
	h.Run("chown", "postgres:", data)
	h.Run("setpriv", append(as, filepath.Join(programs, "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "--no-sync")...)
	for name, text := range map[string]string{
		"pg_hba.conf": "hostssl all all all trust\nhostnossl all all all reject\n",
		"postgresql.auto.conf": fmt.Sprintf("listen_addresses = '%s'\nunix_socket_directories = ''\ncluster_name = '%s'\n"+
			"ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\nfsync = off\nshared_buffers = '1MB'\n", address, says),
	} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o600); err != nil {
			h.lab.tb.Fatal(err)
		}
	}
	h.Run("cp", certificate.Cert, filepath.Join(data, "server.crt"))
	h.Run("cp", certificate.Key, filepath.Join(data, "server.key"))
	h.Run("sh", "-c", "chmod 600 "+data+"/server.key && chown -R postgres: "+data)
	p := h.Start("setpriv", append(as, filepath.Join(programs, "postgres"), "-D", data)...)
	h.lab.Until(p.what+" takes connections", func() bool {
		if p.Ended() {
			h.lab.tb.Fatalf("%s ended:\n%s", p.what, p.Log())
		}
		_, err := h.Try(filepath.Join(programs, "pg_isready"), "-h", address)
		return err == nil
	})
	return p
}
