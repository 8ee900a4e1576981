//go:build linux

package lab

import (
	"os"
	"path/filepath"
	"strconv"
)

// Pldns serves a configuration in the host and waits until it does. The file is
// watched.
func (h *Host) Pldns(file string) *Process {
	h.lab.tb.Helper()
	return h.Serving(h.lab.pldns, "serve", "-c", file)
}

// Serving is [Host.Pldns] for a pldns that is started in another way.
func (h *Host) Serving(program string, arguments ...string) *Process {
	h.lab.tb.Helper()
	p := h.Start(program, arguments...)
	h.lab.Until(h.Name+" serves", func() bool {
		if p.Ended() {
			h.lab.tb.Fatalf("%s ended:\n%s", p.what, p.Log())
		}
		_, err := h.Try(h.lab.pldns, "probe")
		return err == nil
	})
	return p
}

// TryPldns runs a command of pldns that ends by itself. It is an error if the exit code
// is not 0, with what was printed.
func (h *Host) TryPldns(arguments ...string) (string, error) {
	return h.Try(h.lab.pldns, arguments...)
}

// Play starts the helper program of the scenarios, with one of its roles.
func (h *Host) Play(arguments ...string) *Process {
	h.lab.tb.Helper()
	return h.Start(h.lab.play, arguments...)
}

// TryPlay runs a role of the helper program that ends by itself. It is an error if the
// exit code is not 0, with what was printed.
func (h *Host) TryPlay(arguments ...string) (string, error) {
	return h.Try(h.lab.play, arguments...)
}

// Azure makes the host answer DNS at an address as Azure's resolver does, and the
// Internet's, from a master-file text; [Host.Site] follows.
func (h *Host) Azure(address, zone string) *Process {
	h.lab.tb.Helper()
	file := h.lab.File("zone-"+h.space, zone)
	p := h.Play("azure", "-listen", address, "-zone", file)
	h.lab.Until(p.what+" answers", func() bool {
		_, err := h.TryPlay("ask", "-server", address, ".", "SOA")
		return err == nil
	})
	return p
}

// Site makes the host a server over TLS at an address, which holds the certificate
// and tells everybody its name.
func (h *Host) Site(address, said string, certificate Certificate) *Process {
	h.lab.tb.Helper()
	p := h.Play("site", "-listen", address, "-says", said, "-cert", certificate.Cert, "-key", certificate.Key)
	h.lab.Until(p.what+" listens", func() bool { return p.Log() != "" })
	return p
}

// PrivateEndpoint makes the host a private endpoint, at an address, of a service
// behind a Private Link Service. With a link id the service is told it, and the
// client, by the PROXY protocol.
func (h *Host) PrivateEndpoint(address, service string, linkID int) *Process {
	h.lab.tb.Helper()
	p := h.Play("link", "-listen", address, "-to", service, "-link-id", strconv.Itoa(linkID))
	h.lab.Until(p.what+" listens", func() bool { return p.Log() != "" })
	return p
}

// Replace puts a new text in the place of a file as editors do: written beside it,
// then renamed.
func (l *Lab) Replace(file, text string) {
	l.tb.Helper()
	beside := file + ".new"
	if err := os.WriteFile(beside, []byte(text), 0o644); err != nil {
		l.tb.Fatal(err)
	}
	if err := os.Rename(beside, file); err != nil {
		l.tb.Fatal(err)
	}
}

// Mounted writes a file as Kubernetes mounts a ConfigMap: the name is a link into
// ..data, which is a link to a folder that is never changed. Mounting anew swaps
// ..data alone. It gives the path of the file.
func (l *Lab) Mounted(dir, name, text string) string {
	l.tb.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		l.tb.Fatal(err)
	}
	version, err := os.MkdirTemp(dir, "..version-")
	if err != nil {
		l.tb.Fatal(err)
	}
	file, link := filepath.Join(dir, name), filepath.Join(dir, "..data")
	for _, err := range []error{
		os.Chmod(version, 0o755),
		os.WriteFile(filepath.Join(version, name), []byte(text), 0o644),
		os.Symlink(filepath.Base(version), link+"_tmp"),
		os.Rename(link+"_tmp", link),
	} {
		if err != nil {
			l.tb.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join("..data", name), file); err != nil && !os.IsExist(err) {
		l.tb.Fatal(err)
	}
	return file
}
