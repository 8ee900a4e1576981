package validate_test

import (
	"context"
	"slices"
	"testing"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/opencontainers/go-digest"
)

// nothingKnown is a registry that knows every image, and nothing about it: the
// checks must not need one.
type nothingKnown struct{}

func (nothingKnown) ResolveImageConfig(_ context.Context, name string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", "", nil, err
	}
	config := []byte(`{"architecture":"amd64","os":"linux"}`)
	return named.String(), digest.FromBytes(config), config, nil
}

// lint gives what Docker's own build checks ("docker build --check") find in a
// Dockerfile, the experimental ones included.
func lint(t *testing.T, text string) []string {
	t.Helper()
	source := llb.NewSourceMap(nil, "Dockerfile", "Dockerfile", []byte(text))
	source.Definition = &llb.Definition{}
	results, err := dockerfile2llb.DockerfileLint(t.Context(), []byte(text), dockerfile2llb.ConvertOpt{
		Config:       dockerui.Config{LinterConfig: &linter.Config{ExperimentalAll: true}},
		SourceMap:    source,
		MetaResolver: nothingKnown{},
	})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, warning := range results.Warnings {
		found = append(found, warning.RuleName+": "+warning.Detail)
	}
	if results.Error != nil {
		found = append(found, "it cannot be built: "+results.Error.Message)
	}
	return found
}

func TestDockerfile(t *testing.T) {
	for _, file := range []string{"../../Dockerfile", "../fleet/etcd.Dockerfile"} {
		for _, fault := range lint(t, read(t, file)) {
			t.Errorf("%s: %s", file, fault)
		}
	}
}

// The test above finds what is wrong.
func TestDockerfileFaults(t *testing.T) {
	found := lint(t, "from golang:1.26 AS Build\nENV KEY value\nFROM scratch\nCOPY --from=build /a /b\nCMD serve\nENV ADMIN_TOKEN=abc\n")
	for _, rule := range []string{"StageNameCasing", "LegacyKeyValueFormat", "JSONArgsRecommended", "SecretsUsedInArgOrEnv"} {
		if !slices.ContainsFunc(found, func(fault string) bool { return len(fault) > len(rule) && fault[:len(rule)] == rule }) {
			t.Errorf("%s is not found: %q", rule, found)
		}
	}
}
