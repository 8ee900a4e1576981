//go:build linux

package scenarios

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pldns/deploy/scenarios/lab"
)

// composition is a running compose file.
type composition struct {
	t           *testing.T
	dir         string // a copy of what is shipped, with another address range
	project     string
	environment []string
	prefix      string // of the addresses, in the place of "10.53."
}

// compose runs docker-compose and gives its standard output.
func (c *composition) compose(arguments ...string) (string, error) {
	command := exec.Command("docker-compose", append([]string{"-p", c.project}, arguments...)...)
	command.Dir = c.dir
	command.Env = append(os.Environ(), c.environment...)
	var output, complaints bytes.Buffer
	command.Stdout, command.Stderr = &output, &complaints
	if err := command.Run(); err != nil {
		return output.String(), fmt.Errorf("docker-compose %s: %w\n%s", strings.Join(arguments, " "), err, complaints.String())
	}
	return output.String(), nil
}

// up copies the files with addresses that nobody else has, and starts it all.
func (c *composition) up() {
	c.t.Helper()
	c.t.Cleanup(func() {
		if c.t.Failed() {
			logs, _ := c.compose("logs", "--no-color")
			c.t.Log(logs)
		}
		if _, err := c.compose("down", "-v", "--timeout", "1"); err != nil {
			c.t.Error(err)
		}
	})
	for try := range 20 {
		c.prefix = fmt.Sprintf("10.%d.", 64+(os.Getpid()+37*try)%128)
		for _, name := range []string{"compose.yaml", "compose/pldns.toml", "compose/internet.zone"} {
			text, err := os.ReadFile(name)
			if err != nil {
				c.t.Fatal(err)
			}
			path := filepath.Join(c.dir, name)
			for _, err := range []error{
				os.MkdirAll(filepath.Dir(path), 0o755),
				os.WriteFile(path, bytes.ReplaceAll(text, []byte("10.53."), []byte(c.prefix)), 0o644),
				os.Chmod(filepath.Dir(path), 0o755),
			} {
				if err != nil {
					c.t.Fatal(err)
				}
			}
		}
		_, err := c.compose("up", "-d", "--no-build", "--quiet-pull")
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "Pool overlaps") {
			c.t.Fatal(err)
		}
	}
	c.t.Fatal("no address range is free for the networks")
}

// imageOf makes an image of one static program, without any builder; it is gone
// when the test ends.
func imageOf(t *testing.T, binary, name string) string {
	t.Helper()
	path := "/" + filepath.Base(binary)
	archive := exec.Command("tar", "-C", filepath.Dir(binary), "-c", filepath.Base(binary))
	load := exec.Command("docker", "import", "-c", fmt.Sprintf("ENTRYPOINT [%q]", path), "-", name)
	var err error
	if load.Stdin, err = archive.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := archive.Start(); err != nil {
		t.Fatal(err)
	}
	if output, err := load.CombinedOutput(); err != nil {
		t.Fatalf("docker import: %v\n%s", err, output)
	}
	if err := archive.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", name).Run() })
	return name
}

// The compose file: two tenants, told apart by the address of pldns that they ask,
// in containers. PLDNS_IMAGE and PLAY_IMAGE name the images; without them, images
// of the programs under test are made.
func TestCompose(t *testing.T) {
	lab.NeedsDocker(t)
	lab.Needs(t, "docker-compose", "tar")
	c := &composition{t: t, dir: t.TempDir(), project: fmt.Sprintf("pldns-scenario-%d", os.Getpid())}
	for _, dir := range []string{c.dir, filepath.Dir(c.dir)} { // containers drop root's rights
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for variable, program := range map[string]string{"PLDNS_IMAGE": lab.Program("pldns"), "PLAY_IMAGE": lab.Program("play")} {
		if os.Getenv(variable) == "" {
			c.environment = append(c.environment, variable+"="+imageOf(t, program, fmt.Sprintf("pldns-scenario-%s:%d", filepath.Base(program), os.Getpid())))
		}
	}
	if os.Getenv("PLDNS_IMAGE") == "" { // the image of one program has no command
		text := "version: \"3.8\"\nservices: {pldns: {command: [serve]}}\n"
		if err := os.WriteFile(filepath.Join(c.dir, "command.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		c.environment = append(c.environment, "COMPOSE_FILE=compose.yaml:command.yaml")
	}
	c.up()
	if _, err := c.compose("config", "--quiet"); err != nil {
		t.Error(err)
	}
	for _, tenant := range []struct{ name, own, other string }{{"contoso", "1.4", "2.4"}, {"fabrikam", "2.4", "1.4"}} {
		run := []string{"run", "--rm", "-T", tenant.name + "-client"}
		if got, err := c.compose(run...); err != nil || got != "the endpoint of "+tenant.name+"\n" {
			t.Errorf("%s: %q, %v", tenant.name, got, err)
		}
		connect := append(run, "connect", "-ca", "/certificates/authority.pem", "-timeout", "5s")
		for _, wrong := range []string{c.prefix + tenant.own, "contoso-sql.privatelink.database.windows.net"} {
			got, err := c.compose(append(connect, "https://"+wrong+":1433/")...)
			if err == nil || !strings.Contains(err.Error(), "x509") {
				t.Errorf("%s by %s: %q, %v; want a certificate for another name", tenant.name, wrong, got, err)
			}
		}
		if got, err := c.compose(append(connect, "https://"+c.prefix+tenant.other+":1433/")...); err == nil || strings.Contains(err.Error(), "x509") {
			t.Errorf("%s reaches the other tenant: %q, %v", tenant.name, got, err)
		}
		logs, err := c.compose("logs", "--no-color", tenant.name+"-endpoint")
		if err != nil || !strings.Contains(logs, "connection from "+c.prefix+tenant.own[:1]) {
			t.Errorf("%s: who came to its endpoint: %s %v", tenant.name, logs, err)
		}
		if strings.Contains(logs, "connection from "+c.prefix+tenant.other[:1]) {
			t.Errorf("%s: the other tenant came to its endpoint: %s", tenant.name, logs)
		}
	}
}
