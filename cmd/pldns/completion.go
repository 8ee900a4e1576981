package main

import (
	"github.com/spf13/cobra"
)

// kindThenFiles completes a kind as the first argument, and files after it.
func kindThenFiles[K ~string](command *cobra.Command, kinds []K) {
	command.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return words(kinds), cobra.ShellCompDirectiveNoFileComp
	}
}

// nameThenTypes completes nothing as the first argument, which is a name, and the
// record types that people explain after it.
func nameThenTypes(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{"A", "AAAA", "CNAME", "HTTPS", "MX", "NS", "PTR", "SOA", "SRV", "SVCB", "TXT"}, cobra.ShellCompDirectiveNoFileComp
}

// oneOf completes the value of a flag, which is one of a few words. The flag must be
// there: whoever misspells it finds out at the first start.
func oneOf[W ~string](command *cobra.Command, flag string, all ...W) {
	err := command.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words(all), cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err)
	}
}

func words[W ~string](all []W) []string {
	texts := make([]string, len(all))
	for i, word := range all {
		texts[i] = string(word)
	}
	return texts
}
