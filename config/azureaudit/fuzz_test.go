package azureaudit_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"pldns/config/azureaudit"
	"pldns/config/azureimport"
	"pldns/zones/azure"
)

// FuzzAudit shows that whatever an export holds, the audit ends, every finding says
// what it must, and a second audit finds the same.
func FuzzAudit(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	options := azureaudit.Options{Catalogue: azure.New()}
	f.Fuzz(func(t *testing.T, data []byte) {
		export := azureimport.NewExport(azureimport.Options{Catalogue: options.Catalogue})
		if export.Read(azureimport.AZ, "fuzz.json", bytes.NewReader(data)) != nil {
			return
		}
		inventory := export.Inventory()
		report := azureaudit.Audit(inventory, options)
		for _, finding := range report.Findings {
			if finding.ID == "" || finding.Severity == "" || finding.Effect == "" || finding.Action == "" {
				t.Errorf("%+v does not say what it must", finding)
			}
		}
		if again := azureaudit.Audit(inventory, options); written(again) != written(report) {
			t.Errorf("the second report differs:\n%s\n%s", written(report), written(again))
		}
	})
}
