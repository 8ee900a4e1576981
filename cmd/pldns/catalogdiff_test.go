package main

import (
	"slices"
	"strings"
	"testing"

	"pldns/zones/azure"
)

// Whatever a list holds, it is refused or gives names that can be compared: in
// lower case, sorted, each once. A list that was read reads the same again.
func FuzzZoneList(f *testing.F) {
	for _, seed := range []string{
		"privatelink.vaultcore.azure.net\nprivatelink.blob.core.windows.net.\n", "# nothing\n", "\ufeffPrivateLink.A.net\r\n",
		`["privatelink.vaultcore.azure.net", "privatelink.{regionName}.azmk8s.io"]`, `[1]`, `[`, "a..b", "a b", "\x00", ".", `"a"`,
	} {
		f.Add([]byte(seed))
	}
	catalogue := azure.New()
	f.Fuzz(func(t *testing.T, data []byte) {
		names, err := parseZoneList(data)
		if err != nil {
			return
		}
		if len(names) == 0 || !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Fatalf("%q gives %q", data, names)
		}
		again, err := parseZoneList([]byte(strings.Join(names, "\n")))
		if err != nil || !slices.Equal(again, names) {
			t.Fatalf("%q gives %q, and that gives %q: %v", data, names, again, err)
		}
		diff := compareZones(catalogue, azure.Public, names)
		if diff.Same+len(diff.Unknown) != len(names) {
			t.Fatalf("%q: %d are known and %d are not", names, diff.Same, len(diff.Unknown))
		}
	})
}
