//go:build unix

package config_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pldns/config"
)

// What is no regular file, or has no end, is refused at once and by name, wherever
// a configuration names a file: to open a pipe that nobody writes to never returns,
// and a device is read until memory is full.
func TestIrregularFiles(t *testing.T) {
	t.Parallel()
	kinds := map[string]func(path string) error{
		"a named pipe and no regular file": func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a directory and no regular file":  func(path string) error { return os.Mkdir(path, 0o700) },
		"a device and no regular file":     func(path string) error { return os.Symlink("/dev/zero", path) },
		"a socket and no regular file": func(path string) error {
			socket, err := net.Listen("unix", path)
			if err == nil {
				t.Cleanup(func() { socket.Close() })
			}
			return err
		},
		"more than": func(path string) error {
			file, err := os.Create(path)
			if err != nil {
				return err
			}
			defer file.Close()
			return file.Truncate(1 << 30) // takes no room
		},
	}
	const network = "[networks.office]\nclients = [\"10.0.0.0/8\"]\n"
	places := map[string]string{
		"the main file":    "",
		"an included file": "files = [%q]\n" + network,
		"a hosts file":     network + "hosts = [%q]\n",
		"a token":          "[listen]\nadmin_token_file = %q\n" + network,
		"a certificate":    "[listen]\ndot = [\":853\"]\n[tls]\ncert = %q\nkey = %[1]q\n" + network,
		"an authority":     "[probe]\nca = %q\n" + network,
	}
	for says, make := range kinds {
		for place, text := range places {
			t.Run(place+" is "+says, func(t *testing.T) {
				t.Parallel()
				dir, err := os.MkdirTemp("/tmp", "pldns") // the path of a socket is short
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { os.RemoveAll(dir) })
				path, main := filepath.Join(dir, "odd"), filepath.Join(dir, "pldns.toml")
				if err := make(path); err != nil {
					t.Fatal(err)
				}
				if text == "" {
					main = path
				} else if err := os.WriteFile(main, fmt.Appendf(nil, text, path), 0o600); err != nil {
					t.Fatal(err)
				}
				_, err = config.Load(main)
				if err == nil || !strings.Contains(err.Error(), path+" ") || !strings.Contains(err.Error(), says) {
					t.Errorf("Load gives %v", err)
				}
			})
		}
	}
}

// A configuration may be handed over open, as to "pldns check -c /dev/stdin".
func TestConfigurationFromAPipe(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	go func() {
		defer writer.Close()
		fmt.Fprintln(writer, "[networks.office]\nclients = [\"10.0.0.0/8\"]")
	}()
	path := fmt.Sprint("/dev/fd/", reader.Fd())
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skip("this system does not show open files as " + path)
	}
	if c, err := config.Load(path); err != nil || len(c.Networks) != 1 {
		t.Errorf("%v, %v", c, err)
	}
}
