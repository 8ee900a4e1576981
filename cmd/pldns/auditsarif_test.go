package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// What SARIF 2.1.0 asks of a log holds for the report of every estate: the fields
// that it requires are there, with values that it allows, and each result names a
// rule by its place (sections 3.13 to 3.27 of the specification).
func TestSARIF(t *testing.T) {
	files, err := filepath.Glob("../../config/azureaudit/testdata/*_*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no estates: %v", err)
	}
	results := 0
	for _, file := range files {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"audit", "az", file, "--sarif"}, &stdout, &stderr); code == exitUsage {
			t.Fatalf("%s: %s", file, stderr.String())
		}
		var log map[string]any
		if err := json.Unmarshal(stdout.Bytes(), &log); err != nil {
			t.Fatalf("%s: %v\n%s", file, err, stdout.String())
		}
		results += checkSARIF(t, log)
	}
	if results < 10 {
		t.Errorf("only %d results", results)
	}
}

// checkSARIF checks a log, and gives the number of its results.
func checkSARIF(t *testing.T, log map[string]any) int {
	t.Helper()
	allowed(t, log, "$schema", "version", "runs")
	if log["version"] != "2.1.0" {
		t.Errorf("version %v", log["version"])
	}
	results := 0
	for _, each := range log["runs"].([]any) {
		run := each.(map[string]any)
		allowed(t, run, "tool", "results", "invocations")
		driver := run["tool"].(map[string]any)["driver"].(map[string]any)
		allowed(t, driver, "name", "version", "rules")
		rules := driver["rules"].([]any)
		for _, result := range run["results"].([]any) {
			results++
			checkResult(t, result.(map[string]any), rules)
		}
		for _, invocation := range run["invocations"].([]any) {
			if _, is := invocation.(map[string]any)["executionSuccessful"].(bool); !is {
				t.Error("an invocation does not say whether it was successful")
			}
		}
	}
	return results
}

func checkResult(t *testing.T, result map[string]any, rules []any) {
	t.Helper()
	allowed(t, result, "ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints")
	at := int(result["ruleIndex"].(float64))
	if at < 0 || at >= len(rules) || rules[at].(map[string]any)["id"] != result["ruleId"] {
		t.Errorf("rule %v is not at %d", result["ruleId"], at)
	}
	if !slices.Contains([]any{"error", "warning", "note"}, result["level"]) {
		t.Errorf("level %v", result["level"])
	}
	if text, is := result["message"].(map[string]any)["text"].(string); !is || text == "" {
		t.Error("a result has no message")
	}
	for _, each := range result["locations"].([]any) {
		location := each.(map[string]any)
		allowed(t, location, "physicalLocation", "logicalLocations")
		uri := location["physicalLocation"].(map[string]any)["artifactLocation"].(map[string]any)["uri"].(string)
		if !regexp.MustCompile(`^[A-Za-z0-9._~/%-]+$`).MatchString(uri) {
			t.Errorf("%q is no URI", uri)
		}
		for _, logical := range location["logicalLocations"].([]any) {
			if name := logical.(map[string]any)["fullyQualifiedName"]; name == "" {
				t.Error("a location has no name")
			}
		}
	}
}

// allowed reports keys that the format does not have at a place.
func allowed(t *testing.T, object map[string]any, keys ...string) {
	t.Helper()
	for key := range object {
		if !slices.Contains(keys, key) {
			t.Errorf("%s is no key here: %v", key, keys)
		}
	}
}
