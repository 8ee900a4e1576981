package azureimport_test

import (
	"fmt"
	"strings"

	"pldns/config/azureimport"
)

// Exports are read one after another, then decided, then written as tables.
func Example() {
	export := azureimport.NewExport(azureimport.Options{})
	hosts := "10.0.1.4 mydb.database.windows.net\n10.0.1.5 myvault.vault.azure.net\n"
	if err := export.Read(azureimport.Hosts, "spoke.hosts", strings.NewReader(hosts)); err != nil {
		fmt.Println(err)
		return
	}
	result := export.Networks(azureimport.Layout{})
	for _, network := range result.Networks {
		fmt.Printf("%s", azureimport.Render([]azureimport.Table{azureimport.NetworkTable("spoke", network.Mappings)}))
	}
	fmt.Println(len(result.Conflicts), "names with two addresses")
	// Output:
	// [networks.spoke.endpoints]
	// "mydb.database.windows.net" = "10.0.1.4" # spoke.hosts
	// "myvault.vault.azure.net" = "10.0.1.5" # spoke.hosts
	// 0 names with two addresses
}
