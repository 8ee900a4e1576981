package daemon

import (
	"fmt"
	"log/slog"

	"pldns/config"
)

// maxWarnings is how many warnings of a configuration are logged and shown: a
// mistake in a large file is made many times.
const maxWarnings = 20

// warningsOf are the warnings of a configuration in words, the first of them if
// there are many; and those of what was learned.
func warningsOf(c *config.Config, learned []string) []string {
	var texts []string
	for i, warning := range c.Warnings {
		if i == maxWarnings {
			texts = append(texts, fmt.Sprintf("%d more: \"pldns check\" tells them all", len(c.Warnings)-maxWarnings))
			break
		}
		texts = append(texts, warning.String())
	}
	if len(learned) > maxWarnings {
		more := fmt.Sprintf("%d more: /api/sources tells them all", len(learned)-maxWarnings)
		return append(append(texts, learned[:maxWarnings]...), more)
	}
	return append(texts, learned...)
}

// logWarnings tells what is served and probably not meant.
func logWarnings(log *slog.Logger, warnings []string) {
	for _, text := range warnings {
		log.Warn("the configuration is served, and probably not what was meant", "warning", text)
	}
}
