package main

import (
	"fmt"
	"io"

	"pldns/cmd/internal/daemon"
	"pldns/config"
)

// loadAzure reads a configuration that says which Azure is to be listed.
func loadAzure(stderr io.Writer, file string) (*config.Config, error) {
	c, err := config.LoadWith(file, onDisk(stderr))
	if err != nil {
		return nil, failing(fmt.Errorf("the configuration cannot be used:\n%w", err))
	}
	if len(c.Azure) == 0 {
		return nil, failing(fmt.Errorf("%s has no [azure.NAME], so there is nothing to list", file))
	}
	return c, nil
}

// loadLearned reads a configuration with what is on disk of what it learns, for commands
// that speak of what is served. What is not known is noted on standard error.
func loadLearned(stderr io.Writer, file string) (*config.Config, error) {
	loaded, err := config.LoadWith(file, onDisk(stderr))
	if err != nil {
		return nil, err
	}
	return withLearned(stderr, loaded), nil
}

// withLearned is a configuration with what is on disk of what it learns.
func withLearned(stderr io.Writer, loaded *config.Config) *config.Config {
	if len(loaded.Azure) == 0 {
		return loaded
	}
	composed := daemon.Composed(loaded)
	for _, warning := range composed.Warnings {
		fmt.Fprintf(stderr, "note: %s\n", warning)
	}
	return composed.Config
}
