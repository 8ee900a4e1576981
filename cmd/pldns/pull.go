package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"pldns/cmd/internal/daemon"
)

func newPull() *cobra.Command {
	var flags fleetFlags
	var into string
	var asJSON bool
	command := &cobra.Command{
		Use:   "pull [RELEASE]",
		Short: "Write a release as files",
		Long: `Pull writes the files of a release into a new folder: of the one that the channel names,
or of the one that is named by its first digits or by another channel. The main file lacks
the tables that belong to one machine. What is pushed from the folder is based on it.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if into == "" {
				return errors.New("name a new folder with --into")
			}
			f, err := flags.open()
			if err != nil {
				return err
			}
			defer f.Close()
			e, r, err := f.fetch(command.Context(), first(args))
			if err != nil {
				return failing(err)
			}
			var paths []string
			for _, file := range r.Manifest.Files {
				paths = append(paths, file.Path)
			}
			if err := writeRelease(into, r, paths); err != nil {
				return failing(err)
			}
			noteBase(command.ErrOrStderr(), into, f, e.Release)
			if asJSON {
				return printJSON(command.OutOrStdout(), pulled{string(e.Release), r.Manifest.Main, paths})
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "%s: release %s, %s\n", filepath.Join(into, filepath.FromSlash(r.Manifest.Main)),
				e.Release.Short(), daemon.Count(len(paths), "file"))
			return failing(err)
		},
	}
	flags.add(command, "from")
	jsonFlag(command, &asJSON)
	command.Flags().StringVar(&into, "into", "", "the new `folder`")
	return command
}

// pulled is what pull --json prints.
type pulled struct {
	Release string   `json:"release"`
	Main    string   `json:"main"`
	Files   []string `json:"files"`
}

// first is the first argument; empty where there is none.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// writeRelease writes files into a folder, which is new or empty.
func writeRelease(folder string, files fs.FS, paths []string) error {
	if there, err := os.ReadDir(folder); err == nil && len(there) > 0 {
		return fmt.Errorf("%s is not empty: name a new folder", folder)
	}
	for _, path := range paths {
		local, err := filepath.Localize(path)
		if err != nil {
			return fmt.Errorf("%s cannot be a file on this system: %w", path, err)
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		target := filepath.Join(folder, local)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := replaceFile(target, text); err != nil {
			return err
		}
	}
	return nil
}
