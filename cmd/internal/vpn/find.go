package vpn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	// maxText is how much of a file is read, in octets: the end of a log, all of a
	// profile.
	maxText = 4 << 20
	// maxFiles is how many files of one place are read, the newest.
	maxFiles = 16
	// wgTime is how long wg may take, which asks the kernel.
	wgTime = 5 * time.Second
)

// File reads one file that a client wrote. It fails where the file cannot be read, and
// as [Read] does.
func File(file string) ([]Profile, error) {
	text, err := end(file)
	if err != nil {
		return nil, err
	}
	profiles, err := Read(file, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return profiles, nil
}

// end is the end of a regular file.
func end(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", file)
	}
	opened, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	if info.Size() > maxText {
		// An even number of octets from the beginning, for texts in UTF-16: those lose
		// their mark, and are not recognised.
		if _, err := opened.Seek((info.Size()-maxText)&^1, io.SeekStart); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(io.LimitReader(opened, maxText+1))
}

// Find reads what the clients of this machine wrote where they usually do, and what wg
// shows. What the user may not read is left out: WireGuard shows its peers to root
// only.
func Find(ctx context.Context) []Profile {
	profiles := shown(ctx)
	for _, pattern := range places(runtime.GOOS, os.Getenv) {
		for _, file := range newest(pattern) {
			if read, err := File(file); err == nil {
				profiles = append(profiles, read...)
			}
		}
	}
	return unique(profiles)
}

// places are the patterns of the files that clients write on an operating system.
func places(goos string, environment func(string) string) []string {
	var all []string
	add := func(root string, patterns ...string) {
		if root == "" {
			return
		}
		for _, pattern := range patterns {
			all = append(all, filepath.Join(root, filepath.FromSlash(pattern)))
		}
	}
	switch goos {
	case "windows":
		add(environment("LOCALAPPDATA"), "Packages/Microsoft.AzureVpn_8wekyb3d8bbwe/LocalState/*.log",
			"Packages/Microsoft.AzureVpn_8wekyb3d8bbwe/LocalState/*/*.log", "Packages/Microsoft.AzureVpn_8wekyb3d8bbwe/LocalState/*.xml")
		add(environment("USERPROFILE"), "OpenVPN/log/*.log", "OpenVPN/config/*.ovpn", "OpenVPN/config/*/*.ovpn")
		add(environment("ProgramFiles"), "OpenVPN/log/*.log", "OpenVPN/config/*.ovpn")
	case "darwin":
		add(environment("HOME"), "Library/Containers/com.microsoft.AzureVpnMac/Data/Library/Application Support/*/*.log",
			"Library/Containers/com.microsoft.AzureVpnMac/Data/Library/Logs/*.log",
			"Library/Application Support/Tunnelblick/Configurations/*/Contents/Resources/*.ovpn")
		add("/", "opt/homebrew/etc/wireguard/*.conf", "usr/local/etc/wireguard/*.conf", "etc/wireguard/*.conf")
	default:
		add("/", "var/log/openvpn/*.log", "var/log/openvpn.log", "etc/openvpn/*.conf", "etc/openvpn/client/*.conf", "etc/wireguard/*.conf")
	}
	return all
}

// newest are the files that a pattern fits, the newest first.
func newest(pattern string) []string {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	written := make(map[string]time.Time)
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			written[file] = info.ModTime()
		}
	}
	slices.SortStableFunc(files, func(a, b string) int { return written[b].Compare(written[a]) })
	return files[:min(len(files), maxFiles)]
}

// shown is what wg shows, where it is installed and may.
func shown(ctx context.Context) []Profile {
	const command = "wg show all dump"
	program, err := exec.LookPath("wg")
	if errors.Is(err, exec.ErrNotFound) && runtime.GOOS == "windows" {
		program, err = exec.LookPath(filepath.Join(os.Getenv("ProgramFiles"), "WireGuard", "wg.exe"))
	}
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, wgTime)
	defer cancel()
	text, err := exec.CommandContext(ctx, program, "show", "all", "dump").Output()
	if err != nil || len(text) > maxText {
		return nil
	}
	profiles, err := Read(command, text)
	if err != nil {
		return nil
	}
	return profiles
}

// unique leaves out a configuration of WireGuard whose interface wg shows, and of
// several logs of one connection all but the first, which is the newest.
func unique(all []Profile) []Profile {
	var kept []Profile
	for _, p := range all {
		same := func(k Profile) bool {
			return k.Client == p.Client && k.Assigned && (p.Assigned || p.Client == WireGuard) && k.Name == p.Name &&
				strings.EqualFold(k.Interface, p.Interface)
		}
		if !slices.ContainsFunc(kept, same) {
			kept = append(kept, p)
		}
	}
	return kept[:min(len(kept), maxProfiles)]
}
