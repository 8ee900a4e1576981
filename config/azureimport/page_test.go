package azureimport_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pldns/config/azureimport"
)

// rows are rows of Resource Graph, of endpoints or of interfaces.
func rows(kind string, from, to int) string {
	var all []string
	for i := from; i < to; i++ {
		id := fmt.Sprintf("/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/pe%d", i)
		if kind == "interfaces" {
			all = append(all, fmt.Sprintf(`{"id":"%s.nic","type":"microsoft.network/networkinterfaces","properties":{"privateEndpoint":{"id":"%[1]s"},
				"ipConfigurations":[{"properties":{"privateIPAddress":"10.0.0.%d","privateLinkConnectionProperties":{"fqdns":["s%[2]d.database.windows.net"]}}}]}}`, id, i))
			continue
		}
		all = append(all, fmt.Sprintf(`{"id":"%s","type":"microsoft.network/privateendpoints","properties":{"privateLinkServiceConnections":[]}}`, id))
	}
	return strings.Join(all, ",")
}

// Pages are complete when together they have every row of their query, and not
// because another query has as many.
func TestPages(t *testing.T) {
	answer := func(total int, token, rows string) string {
		return fmt.Sprintf(`{"count":1,"total_records":%d,"skip_token":%s,"data":[%s]}`, total, token, rows)
	}
	for _, test := range []struct {
		name     string
		files    []string
		complete bool
	}{
		{"one answer", []string{answer(4, "null", rows("endpoints", 0, 4)), answer(4, "null", rows("interfaces", 0, 4))}, true},
		{"two pages each", []string{
			answer(4, `"x"`, rows("endpoints", 0, 2)), answer(4, "null", rows("endpoints", 2, 4)),
			answer(4, `"x"`, rows("interfaces", 0, 2)), answer(4, "null", rows("interfaces", 2, 4)),
		}, true},
		{"in another order", []string{answer(4, "null", rows("endpoints", 2, 4)), answer(4, `"x"`, rows("endpoints", 0, 2)), answer(4, "null", rows("interfaces", 0, 4))}, true},
		{"first pages of two queries", []string{answer(4, `"x"`, rows("endpoints", 0, 2)), answer(4, `"x"`, rows("interfaces", 0, 2))}, false},
		{"the first page twice", []string{answer(4, `"x"`, rows("endpoints", 0, 2)), answer(4, `"x"`, rows("endpoints", 0, 2)), answer(4, "null", rows("interfaces", 0, 4))}, false},
		{"a page is missing", []string{answer(6, `"x"`, rows("endpoints", 0, 2)), answer(6, "null", rows("endpoints", 4, 6)), answer(6, "null", rows("interfaces", 0, 6))}, false},
		{"no number of all", []string{"[" + rows("endpoints", 0, 4) + "]", "[" + rows("interfaces", 0, 4) + "]"}, true},
		{"no number of all, and exactly 100", []string{"[" + rows("endpoints", 0, 100) + "]", "[" + rows("interfaces", 0, 4) + "]"}, false},
		{"a token and no number", []string{`{"data":[` + rows("endpoints", 0, 4) + `],"$skipToken":"x"}`, "[" + rows("interfaces", 0, 4) + "]"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			export := azureimport.NewExport(azureimport.Options{})
			for i, text := range test.files {
				if err := export.Read(azureimport.Graph, fmt.Sprintf("page%d.json", i), strings.NewReader(text)); err != nil {
					t.Fatal(err)
				}
			}
			gaps := export.Inventory().Gaps
			isPage := func(g azureimport.Gap) bool { return g.Reason == azureimport.MorePages }
			if got := !slices.ContainsFunc(gaps, isPage); got != test.complete {
				t.Errorf("complete %v, gaps %v", got, gaps)
			}
		})
	}
}
