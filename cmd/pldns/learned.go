package main

import (
	"fmt"
	"io"

	"pldns/cmd/internal/daemon"
	"pldns/config"
)

// loadAzure reads a configuration that says which Azure is to be listed.
func loadAzure(file string) (*config.Config, error) {
	c, err := config.Load(file)
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
	loaded, err := config.Load(file)
	if err != nil || len(loaded.Azure) == 0 {
		return loaded, err
	}
	composed := daemon.Composed(loaded)
	for _, warning := range composed.Warnings {
		fmt.Fprintf(stderr, "note: %s\n", warning)
	}
	return composed.Config, nil
}
