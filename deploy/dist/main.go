// Command dist makes what is handed out, in the folder dist: for each system an archive
// of the program, its manual pages, completions for shells and an example of a
// configuration, with a bill of materials; packages for Debian; and the checksums of
// all. Two runs on one commit with one toolchain write the same bytes: files bear the
// time of the commit, or SOURCE_DATE_EPOCH. It is run at the root of the project.
package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The programs that make the packages and the bills, which Go builds from the module
// proxy.
const (
	nfpm      = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2"
	cyclonedx = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0"
)

// platform is a system and a processor, as Go names them.
type platform struct{ system, processor string }

func (p platform) String() string { return p.system + "/" + p.processor }

// program is the name of the program's file.
func (p platform) program() string {
	if p.system == "windows" {
		return "pldns.exe"
	}
	return "pldns"
}

// platforms are all for which there is an archive.
func platforms() []platform {
	var all []platform
	for _, system := range []string{"darwin", "linux", "windows"} {
		for _, processor := range []string{"amd64", "arm64"} {
			all = append(all, platform{system, processor})
		}
	}
	return all
}

func main() {
	only := flag.String("only", "", "the `platforms` to make, as linux/amd64,windows/arm64; without it, all")
	flag.Parse()
	if err := run(*only); err != nil {
		fmt.Fprintf(os.Stderr, "dist: %v\n", err)
		os.Exit(1)
	}
}

// release is what all that is made in one run has in common.
type release struct {
	folder string    // where it is written
	work   string    // for what is not handed out
	time   time.Time // of every file
	name   string    // pldns, with the version
	deb    string    // the version as Debian compares it
}

// run makes the platforms of a list, or all.
func run(only string) error {
	chosen := platforms()
	if only != "" {
		chosen = slices.DeleteFunc(chosen, func(p platform) bool { return !slices.Contains(strings.Split(only, ","), p.String()) })
	}
	if len(chosen) == 0 {
		return fmt.Errorf("-only %s: there is no such platform; name some of %v", only, platforms())
	}
	when, err := sourceDate()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "pldns-dist-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	r := release{folder: "dist", work: work, time: when}
	if err := errors.Join(os.RemoveAll(r.folder), os.MkdirAll(r.folder, 0o755)); err != nil {
		return err
	}
	// The program for this machine says its version and writes what it knows of itself.
	here := platform{runtime.GOOS, runtime.GOARCH}
	if err := r.build(here); err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(r.programOf(here))
	if err != nil {
		return err
	}
	version := strings.Trim(strings.TrimPrefix(info.Main.Version, "v"), "()") // (devel) outside of a clone
	r.name, r.deb = "pldns_"+version, debVersion(version)
	if err := r.describe(here); err != nil {
		return err
	}
	for _, p := range chosen {
		if err := r.make(p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return r.checksums()
}

// sourceDate is the time that files bear: SOURCE_DATE_EPOCH, else that of the commit.
func sourceDate() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := exec.Command("git", "log", "-1", "--format=%ct").Output()
		if err != nil {
			return time.Time{}, fmt.Errorf("ask git for the time of the commit (SOURCE_DATE_EPOCH says it elsewhere): %w", err)
		}
		text = strings.TrimSpace(string(out))
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %q is no number of seconds", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// debVersion is a version of a Go module, without its v, as Debian compares it: what comes before a
// release is told by a tilde, and there is no hyphen, which would begin a revision.
func debVersion(version string) string {
	if version == "" || version[0] < '0' || version[0] > '9' {
		return "0~" + strings.Map(letterOrDigit, version) // built outside of a clone
	}
	version = strings.Replace(version, "-", "~", 1)
	return strings.ReplaceAll(version, "-", ".")
}

func letterOrDigit(c rune) rune {
	if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' {
		return c
	}
	return -1
}

func (r release) programOf(p platform) string {
	return filepath.Join(r.work, p.system+"-"+p.processor, p.program())
}

// build builds the program for a platform, unless that was done.
func (r release) build(p platform) error {
	if _, err := os.Stat(r.programOf(p)); err == nil {
		return nil
	}
	env := []string{"GOOS=" + p.system, "GOARCH=" + p.processor}
	if _, err := os.Stat(".git"); err == nil {
		env = append(env, "GOFLAGS=-buildvcs=true")
	}
	return r.call(env, "deploy/build", r.programOf(p))
}

// call runs a program with more in its environment, and the time of all files.
func (r release) call(env []string, program string, args ...string) error {
	command := exec.Command(program, args...)
	command.Env = append(append(os.Environ(), "SOURCE_DATE_EPOCH="+strconv.FormatInt(r.time.Unix(), 10), "PLDNS_CONFIG="), env...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, out)
	}
	return nil
}

// describe has the program write its manual pages and completions.
func (r release) describe(here platform) error {
	program := r.programOf(here)
	if err := r.call(nil, program, "man", "--into", filepath.Join(r.work, "man")); err != nil {
		return err
	}
	folder := filepath.Join(r.work, "completions")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		out, err := exec.Command(program, "completion", shell).Output()
		if err != nil {
			return fmt.Errorf("completion for %s: %w", shell, err)
		}
		if err := os.WriteFile(filepath.Join(folder, "pldns."+shell), out, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// make makes what there is for a platform.
func (r release) make(p platform) error {
	fmt.Printf("%s\n", p)
	if err := r.build(p); err != nil {
		return err
	}
	base := filepath.Join(r.folder, r.name+"_"+p.system+"_"+p.processor)
	if err := r.bill(r.programOf(p), base+".cdx.json"); err != nil {
		return err
	}
	files, err := r.files(p)
	if err != nil {
		return err
	}
	top := filepath.Base(base)
	if p.system == "windows" {
		return writeZip(base+".zip", top, files, r.time)
	}
	if err := writeTar(base+".tar.gz", top, files, r.time); err != nil {
		return err
	}
	if p.system == "linux" {
		return r.debian(p)
	}
	return nil
}

// bill writes the bill of materials of a program, which cyclonedx-gomod reads from
// the program itself. Without a number and a time of its own it is the same each time.
func (r release) bill(program, file string) error {
	return r.call([]string{"GOOS=", "GOARCH="}, goTool(), "run", cyclonedx, "bin", "-json", "-noserial", "-notimestamp", "-output", file,
		program)
}

// goTool is the go command that make was told to use.
func goTool() string {
	if named := os.Getenv("GO"); named != "" {
		return named
	}
	return "go"
}

// files are what an archive holds: the name in it, and the file.
func (r release) files(p platform) (map[string]string, error) {
	files := map[string]string{
		p.program(): r.programOf(p), "README.md": "README.md", "CHANGELOG.md": "CHANGELOG.md", "pldns.toml": "deploy/deb/pldns.toml",
	}
	if p.system == "linux" {
		for _, name := range []string{"pldns.service", "pldns.socket", "socket.conf"} {
			files["systemd/"+name] = "deploy/systemd/" + name
		}
	}
	if _, err := os.Stat("LICENSE"); err == nil {
		files["LICENSE"] = "LICENSE"
	}
	for _, folder := range []string{"man", "completions"} {
		entries, err := os.ReadDir(filepath.Join(r.work, folder))
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			files[folder+"/"+entry.Name()] = filepath.Join(r.work, folder, entry.Name())
		}
	}
	return files, nil
}

// checksums writes the digests of all files, as sha256sum --check reads them.
func (r release) checksums() error {
	entries, err := os.ReadDir(r.folder)
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(r.folder, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(data), entry.Name())
	}
	return os.WriteFile(filepath.Join(r.folder, "SHA256SUMS"), sums.Bytes(), 0o644)
}
