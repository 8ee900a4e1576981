package daemon

import (
	"runtime/debug"

	"pldns/resolver/metrics"
)

// Build is what the toolchain stamped into the binary.
func Build() metrics.Build {
	b := metrics.Build{Version: "unknown", Revision: "unknown", GoVersion: "unknown"}
	info, found := debug.ReadBuildInfo()
	if !found {
		return b
	}
	b.Version, b.GoVersion = info.Main.Version, info.GoVersion
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			b.Revision = setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true":
			b.Revision += "-modified"
		}
	}
	return b
}
