package main

import (
	"cmp"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"pldns/cmd/internal/daemon"
	"pldns/config/azureaudit"
)

// The parts of a log in the Static Analysis Results Interchange Format, version
// 2.1.0 (OASIS), that audit fills in.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Results     []sarifResult     `json:"results"`
		Invocations []sarifInvocation `json:"invocations"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID    string       `json:"id"`
		Short sarifMessage `json:"shortDescription"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifMessage      `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string       `json:"level"`
		Message sarifMessage `json:"message"`
	}
)

const sarifSchema = "https://json.schemastore.org/sarif-2.1.0.json"

// newSARIF is a report in that format: a rule for each kind of finding, a result for
// each finding at the file that tells of it, and what was not looked at as
// notifications. Where the sources are no files, one stands for all of them; else it is
// empty.
func newSARIF(report *azureaudit.Report, file string) sarifLog {
	rules := azureaudit.Rules()
	run := sarifRun{
		Tool: sarifTool{sarifDriver{Name: "pldns audit", Version: daemon.Build().Version}}, Results: []sarifResult{},
		Invocations: []sarifInvocation{{Successful: true}},
	}
	for _, rule := range rules {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{string(rule.ID), sarifMessage{rule.Text + "."}})
	}
	for _, note := range report.Notes {
		said := &run.Invocations[0].Notifications
		*said = append(*said, sarifNotification{"note", sarifMessage{"Not looked at: " + note}})
	}
	for _, f := range report.Findings {
		location := sarifLocation{Logical: []sarifLogical{{f.Resource, "resource"}}}
		if at := cmp.Or(file, f.File); at != "" {
			location.Physical = &sarifPhysical{sarifArtifact{fileURI(at)}}
		}
		var names []string
		for _, name := range f.Names {
			names = append(names, name.String())
		}
		run.Results = append(run.Results, sarifResult{
			RuleID: string(f.ID), RuleIndex: slices.IndexFunc(rules, func(r azureaudit.Rule) bool { return r.ID == f.ID }),
			Level: string(f.Severity), Message: sarifMessage{f.Effect + ". To do: " + f.Action + "."}, Locations: []sarifLocation{location},
			Fingerprints: map[string]string{
				"finding/v1": strings.ToLower(string(f.ID) + " " + f.Resource + " " + strings.Join(names, " ") + " " + f.Answer),
			},
		})
	}
	return sarifLog{Schema: sarifSchema, Version: "2.1.0", Runs: []sarifRun{run}}
}

// fileURI is the name of a file as a relative reference (RFC 3986 section 4.2).
func fileURI(file string) string {
	return (&url.URL{Path: filepath.ToSlash(file)}).String()
}
