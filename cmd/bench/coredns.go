//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	coreDNSVersion = "v1.14.7"
	// coreDNSSource is the released program with the plugins that are needed.
	coreDNSSource = `package main

import (
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/multisocket"
	_ "github.com/coredns/coredns/plugin/tls"
)

func main() { coremain.Run() }
`
)

// buildCoreDNS gives the path of CoreDNS, which Debian does not have. The first time
// it is built in a module of its own from the module proxy, into the cache folder of
// the user.
func buildCoreDNS(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "pldns-bench")
	program := filepath.Join(folder, "coredns-"+coreDNSVersion)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	source, err := os.MkdirTemp(folder, "source-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(source)
	if err := os.WriteFile(filepath.Join(source, "main.go"), []byte(coreDNSSource), 0o600); err != nil {
		return "", err
	}
	fmt.Fprintf(os.Stderr, "building CoreDNS %s into %s\n", coreDNSVersion, folder)
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	built := filepath.Join(source, "built")
	get := []string{"get"}
	for _, room := range []string{"coremain", "plugin/bind", "plugin/cache", "plugin/errors", "plugin/file", "plugin/forward",
		"plugin/multisocket", "plugin/tls"} {
		get = append(get, "github.com/coredns/coredns/"+room+"@"+coreDNSVersion)
	}
	for _, args := range [][]string{
		{"mod", "init", "coredns"},
		get,
		{"build", "-trimpath", "-ldflags=-s -w", "-o", built, "."},
	} {
		command := exec.CommandContext(ctx, "go", args...)
		command.Dir, command.Env = source, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := command.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go %s: %w: %s", args[0], err, out[max(0, len(out)-500):])
		}
	}
	return program, os.Rename(built, program)
}

func coreDNS(s server, dir string, w workload) ([]string, error) {
	if err := writeZone(dir); err != nil {
		return nil, err
	}
	const zones = `
database.windows.net:PORT {
	bind 127.0.0.1
	multisocket 2
	file DIR/zone
}
.:PORT {
	bind 127.0.0.1
	multisocket 2
	cache {
		success 1000000
		denial 10000
	}
	forward . 127.0.0.1:BACKEND
}
`
	text := zones
	if w.mode == dot {
		text += `
tls://database.windows.net:TLSPORT {
	bind 127.0.0.1
	tls TLSCERT TLSKEY
	file DIR/zone
}
`
	}
	return with(dir, "Corefile", text, s.program, "-conf", "FILE")
}
