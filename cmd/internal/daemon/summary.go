package daemon

import (
	"fmt"

	"pldns/config"
)

// Summary puts the size of a configuration into words.
func Summary(c *config.Config) string {
	endpoints := 0
	for _, network := range c.Table.Networks() {
		endpoints += network.CountEndpoints()
	}
	text := fmt.Sprintf("%s, %s, %s", Count(len(c.Networks), "network"), Count(endpoints, "endpoint"), Count(len(c.Upstreams), "upstream"))
	if policies := c.Policies(); len(policies) > 0 {
		entries := 0
		for _, p := range policies {
			entries += p.Len()
		}
		text += fmt.Sprintf(", %s with %s", plural(len(policies), "policy", "policies"), plural(entries, "entry", "entries"))
	}
	if len(c.Copies) > 0 {
		text += ", " + plural(len(c.Copies), "zone from primaries", "zones from primaries")
	}
	if len(c.Transfers) > 0 {
		text += fmt.Sprintf(", %d given to others", len(c.Transfers))
	}
	return text
}

// Count writes a number of things.
func Count(n int, thing string) string { return plural(n, thing, thing+"s") }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
