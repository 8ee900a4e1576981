package config

import "log/slog"

// Log says how the program writes its own log, to standard error.
type Log struct {
	JSON  bool       // a JSON object on each line instead of text
	Level slog.Level // what is less grave is left out
}

// log reads how the program writes its own log.
func (l *loader) log(root table) {
	t, _ := root.sub("log")
	t.only("format", "level")
	l.config.Log.JSON = t.choice("format", "text", "json") == "json"
	levels := map[string]slog.Level{"info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	l.config.Log.Level = levels[t.choice("level", "info", "warn", "error")]
}
