package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pldns/cmd/internal/daemon"
)

func newMan() *cobra.Command {
	var folder string
	command := &cobra.Command{
		Use:   "man [COMMAND...]",
		Short: "Print a manual page",
		Long: `Man prints the manual page of the program or of one of its commands, for man(1) to
show. With --into it writes all of them into a folder, as a package has them.`,
		Example: `  pldns man explain | man -l -
  pldns man --into /usr/local/share/man/man1`,
		RunE: func(command *cobra.Command, args []string) error {
			root := command.Root()
			if folder != "" {
				if len(args) > 0 {
					return fmt.Errorf("--into writes every page: give it without %s", strings.Join(args, " "))
				}
				return failing(writePages(root, folder))
			}
			page, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return fmt.Errorf("there is no command %q: pldns help lists them", strings.Join(args, " "))
			}
			_, err = io.WriteString(command.OutOrStdout(), manPage(page))
			return failing(err)
		},
	}
	command.Flags().StringVar(&folder, "into", "", "write every page into this `folder`, which is made if need be")
	return command
}

// documented are a command and all below it that help shows.
func documented(command *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{command}
	for _, below := range command.Commands() {
		if below.IsAvailableCommand() {
			all = append(all, documented(below)...)
		}
	}
	return all
}

// manName is the name of a command's page, such as pldns-catalog-diff.
func manName(command *cobra.Command) string {
	return strings.ReplaceAll(command.CommandPath(), " ", "-")
}

// writePages writes the page of every command into a folder.
func writePages(root *cobra.Command, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, command := range documented(root) {
		if err := os.WriteFile(filepath.Join(folder, manName(command)+".1"), []byte(manPage(command)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// manPage is the page of a command in the language of man(7), from what help shows.
func manPage(command *cobra.Command) string {
	var page strings.Builder
	name := manName(command)
	fmt.Fprintf(&page, ".TH %s 1 \"\" \"pldns %s\" \"pldns\"\n", roff(strings.ToUpper(name)), roff(daemon.Build().Version))
	fmt.Fprintf(&page, ".SH NAME\n%s \\- %s\n", roff(name), roff(command.Short))
	fmt.Fprintf(&page, ".SH SYNOPSIS\n.B %s\n", roff(command.UseLine()))
	page.WriteString(".SH DESCRIPTION\n")
	long := command.Long
	if long == "" {
		long = command.Short + "."
	}
	writeText(&page, long)
	if command.HasAvailableSubCommands() {
		page.WriteString(".SH COMMANDS\n")
		for _, below := range command.Commands() {
			if below.IsAvailableCommand() {
				fmt.Fprintf(&page, ".TP\n.BR %s (1)\n%s\n", roff(manName(below)), roff(below.Short))
			}
		}
	}
	if command.HasAvailableFlags() {
		page.WriteString(".SH OPTIONS\n")
		command.LocalFlags().VisitAll(func(flag *pflag.Flag) { writeFlag(&page, flag) })
	}
	if command.HasExample() {
		fmt.Fprintf(&page, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(command.Example))
	}
	page.WriteString(manEnd(command))
	return page.String()
}

// manEnd is what all pages have at their end.
func manEnd(command *cobra.Command) string {
	end := ".SH EXIT STATUS\n0 for a good result, 1 for \"no\" or a failure, 2 for a wrong call.\n"
	if !command.HasParent() || command.Flags().Lookup("config") != nil {
		end += ".SH FILES\n.TP\n.I " + roff(defaultConfig) + "\nthe configuration, unless PLDNS_CONFIG or \\-\\-config names another file\n"
	}
	if command.HasParent() {
		end += ".SH SEE ALSO\n.BR " + roff(manName(command.Parent())) + " (1)\n"
	}
	return end
}

// writeFlag writes a flag, what it takes and what it is for.
func writeFlag(page *strings.Builder, flag *pflag.Flag) {
	if flag.Hidden {
		return
	}
	value, usage := pflag.UnquoteUsage(flag)
	head := `\fB\-\-` + roff(flag.Name) + `\fR`
	if flag.Shorthand != "" {
		head = `\fB\-` + roff(flag.Shorthand) + `\fR, ` + head
	}
	if value != "" {
		head += ` \fI` + roff(value) + `\fR`
	}
	fmt.Fprintf(page, ".TP\n%s\n%s", head, roff(usage))
	if flag.DefValue != "" && flag.DefValue != "false" && flag.DefValue != "0" && flag.DefValue != "[]" {
		fmt.Fprintf(page, " (default %s)", roff(flag.DefValue))
	}
	page.WriteString("\n")
}

// writeText writes paragraphs; lines that are indented stay as they are.
func writeText(page *strings.Builder, text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			page.WriteString(".PP\n")
		}
		if strings.HasPrefix(paragraph, " ") || strings.HasPrefix(paragraph, "\t") {
			fmt.Fprintf(page, ".nf\n%s\n.fi\n", roff(paragraph))
			continue
		}
		page.WriteString(roff(paragraph) + "\n")
	}
}

// roff escapes a text: a backslash, a hyphen that is to be copied, and what would be a
// request at the beginning of a line.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
