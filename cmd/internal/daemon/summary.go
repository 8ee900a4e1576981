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
	return fmt.Sprintf("%s, %s, %s", Count(len(c.Networks), "network"), Count(endpoints, "endpoint"), Count(len(c.Upstreams), "upstream"))
}

// Count writes a number of things.
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
