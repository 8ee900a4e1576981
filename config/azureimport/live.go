package azureimport

import "slices"

// Row reads one row of an answer of Resource Graph that somebody asked for, as a file of
// kind [Graph] has them. The name stands for the answer in messages. After an error the
// row is not in the inventory, and everything else is.
func (e *Export) Row(name string, row map[string]any) error {
	return e.readRow(name, newNode(row, nil), nil)
}

// Take gives what was read since the last time, and forgets it.
func (e *Export) Take() Inventory {
	taken := e.Inventory()
	e.inventory, e.index, e.lacking, e.references = Inventory{}, newIndex(), gaps{}, nil
	clear(e.strangers)
	return taken
}

// FromInventory makes an export of what was read before. The inventory is kept, and must
// not change.
func FromInventory(inventory Inventory, options Options) *Export {
	e := NewExport(options)
	e.inventory = inventory
	e.lacking.list = slices.Clone(inventory.Gaps)
	e.inventory.Gaps = nil
	e.read = len(inventory.Endpoints) + len(inventory.Interfaces) + len(inventory.Records)
	return e
}

// Status is the state of the endpoint's connections: Approved when one of them is, or
// nothing tells.
func (p *PrivateEndpoint) Status() string { return p.status() }
