//go:build !linux || portable

package udpio

// Worker is what only Linux has: see the package documentation. There is none here.
type Worker struct{}

// Wake does nothing.
func (*Worker) Wake() {}
