package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"

	"pldns/deploy/scenarios/issuer"
)

// authority writes authority.pem, and a certificate for the names with its key,
// site.pem and site.key, into a folder; where they are it leaves them.
func authority(_ context.Context, flags *flag.FlagSet, arguments []string) error {
	dir := flags.String("dir", ".", "where to write")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	last := filepath.Join(*dir, "authority.pem")
	if _, err := os.Stat(last); err == nil {
		return nil
	}
	made, err := issuer.New()
	if err != nil {
		return err
	}
	cert, key, err := made.Issue(flags.Args()...)
	if err != nil {
		return err
	}
	// All may be read by all: whoever sees the folder is a part of the scenario.
	for _, file := range []struct{ name, text string }{{"site.key", key}, {"site.pem", cert}} {
		if err := os.WriteFile(filepath.Join(*dir, file.name), []byte(file.text), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(last, []byte(made.PEM), 0o644)
}
