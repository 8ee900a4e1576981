package main

import (
	"bytes"
	"context"
	"os"
	"testing"
)

// Nothing but notes goes to a standard error that is no terminal.
func TestImportIsQuiet(t *testing.T) {
	name := t.TempDir() + "/hosts"
	if err := os.WriteFile(name, []byte("10.0.0.4 sql.database.windows.net\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), []string{"import", "hosts", name, "--set", "s"}, &stdout, &stderr); code != exitFine || stderr.Len() > 0 {
		t.Errorf("exit code %d, standard error %q", code, stderr.String())
	}
}
