package config_test

import (
	"flag"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the messages of the bad files")
	flag.Parse()
	os.Exit(m.Run())
}
