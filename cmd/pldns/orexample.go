package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// orExample lets serve begin where nothing has been configured yet, as a container
// does that is only being tried. It must not hide a mistake: a file that was named,
// or a folder in which the file is missing, is a fault as ever.
func orExample(serve *cobra.Command, folder string) *cobra.Command {
	var wanted bool
	serve.Flags().BoolVar(&wanted, "or-example", false,
		"serve the built-in example if no file is named and there is no "+folder)
	serve.PreRunE = func(command *cobra.Command, _ []string) error {
		flags := command.Flags()
		if !wanted || flags.Changed("config") || flags.Changed("example") || os.Getenv("PLDNS_CONFIG") != "" {
			return nil
		}
		if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		fmt.Fprintf(command.ErrOrStderr(), "There is no %s, so the built-in example is served.\n", folder)
		return flags.Set("example", "true")
	}
	return serve
}

// defaultFolder is where the configuration is expected.
func defaultFolder() string { return filepath.Dir(defaultConfig) }
