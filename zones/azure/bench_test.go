package azure_test

import (
	"fmt"
	"testing"

	"pldns/zones"
	"pldns/zones/azure"
)

// Files with a million endpoints are loaded, each of which is derived once: one
// derivation has a microsecond.
func BenchmarkDerive(b *testing.B) {
	catalogue := azure.New()
	for _, text := range []string{
		"contososql.database.windows.net",
		"mi1.abc123def456.database.windows.net",
		"0f1e2d3c.workspace.westeurope.api.azureml.ms",
		"api.contoso.com",
	} {
		name := zones.MustName(text)
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = catalogue.Derive(name)
			}
		})
	}
}

func BenchmarkDeriveMillion(b *testing.B) {
	catalogue := azure.New()
	names := make([]zones.Name, 1_000_000)
	for i := range names {
		names[i] = zones.MustName(fmt.Sprintf("server%07d.database.windows.net", i))
	}
	for b.Loop() {
		for _, name := range names {
			if _, err := catalogue.Derive(name); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkPublicNames(b *testing.B) {
	catalogue := azure.New()
	name := zones.MustName("contosokv.privatelink.vaultcore.azure.net")
	b.ReportAllocs()
	for b.Loop() {
		_ = catalogue.PublicNames(name)
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		_ = azure.New()
	}
}
