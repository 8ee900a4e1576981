package main

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// debian makes the package for Debian: nfpm puts together what deploy/deb/nfpm.yaml
// names, from a folder that holds it.
func (r release) debian(p platform) error {
	root := filepath.Join(r.work, "deb-"+p.processor)
	if err := os.MkdirAll(filepath.Join(root, "man"), 0o755); err != nil {
		return err
	}
	files, err := r.files(p)
	if err != nil {
		return err
	}
	for name, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		to := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		switch {
		case name == "systemd/pldns.service": // a package does not write below /usr/local
			data = []byte(strings.ReplaceAll(string(data), "/usr/local/bin/", "/usr/bin/"))
		case strings.HasPrefix(name, "man/") || name == "CHANGELOG.md":
			if err := r.compress(to+".gz", data); err != nil {
				return err
			}
			if err := os.Chtimes(to+".gz", r.time, r.time); err != nil {
				return err
			}
			continue
		}
		if err := os.WriteFile(to, data, os.FileMode(modeOf(name))); err != nil {
			return err
		}
		if err := os.Chtimes(to, r.time, r.time); err != nil {
			return err
		}
	}
	target := filepath.Join(r.folder, "pldns_"+r.deb+"_"+p.processor+".deb")
	env := []string{"GOOS=", "GOARCH=", "PLDNS_VERSION=" + r.deb, "PLDNS_PROCESSOR=" + p.processor, "PLDNS_ROOT=" + root}
	return r.call(env, goTool(), "run", nfpm, "package", "--config", "deploy/deb/nfpm.yaml", "--packager", "deb", "--target", target)
}

// compress compresses a text as Debian wants it: the best, and without a time.
func (r release) compress(file string, data []byte) error {
	return write(file, func(out io.Writer) error {
		compressed, err := gzip.NewWriterLevel(out, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := compressed.Write(data); err != nil {
			return err
		}
		return compressed.Close()
	})
}
