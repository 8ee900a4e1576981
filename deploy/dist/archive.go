package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// modeOf is the mode of a file in an archive, whatever the umask was.
func modeOf(name string) int64 {
	if strings.HasPrefix(name, "pldns") && path.Ext(name) != ".toml" {
		return 0o755 // the program
	}
	return 0o644
}

// writeTar writes files, the keys of the map being their names, in a folder of a
// compressed archive: sorted, owned by root, with the time that is given.
func writeTar(file, folder string, files map[string]string, when time.Time) error {
	return write(file, func(out io.Writer) error {
		compressed, err := gzip.NewWriterLevel(out, gzip.BestCompression)
		if err != nil {
			return err
		}
		archive := tar.NewWriter(compressed)
		for _, name := range slices.Sorted(maps.Keys(files)) {
			data, err := os.ReadFile(files[name])
			if err != nil {
				return err
			}
			header := &tar.Header{
				Name: folder + "/" + name, Size: int64(len(data)), Mode: modeOf(name), ModTime: when, Format: tar.FormatUSTAR,
			}
			if err := archive.WriteHeader(header); err != nil {
				return err
			}
			if _, err := archive.Write(data); err != nil {
				return err
			}
		}
		return errors.Join(archive.Close(), compressed.Close())
	})
}

// writeZip is writeTar for Windows.
func writeZip(file, folder string, files map[string]string, when time.Time) error {
	return write(file, func(out io.Writer) error {
		archive := zip.NewWriter(out)
		for _, name := range slices.Sorted(maps.Keys(files)) {
			data, err := os.ReadFile(files[name])
			if err != nil {
				return err
			}
			to, err := archive.CreateHeader(&zip.FileHeader{Name: folder + "/" + name, Method: zip.Deflate, Modified: when})
			if err != nil {
				return err
			}
			if _, err := to.Write(data); err != nil {
				return err
			}
		}
		return archive.Close()
	})
}

// write writes a file by a function.
func write(file string, content func(io.Writer) error) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(content(out), out.Close())
}
