package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// ReplaceFile puts what write writes in the place of a file, with a mode, so that whoever
// reads it sees the old file or the new one, as a whole, whatever happens meanwhile. The
// error is that of write or of the system; then the old file stays, and nothing else.
func ReplaceFile(path string, mode fs.FileMode, write func(*os.File) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp") // with mode 0600
	if err != nil {
		return err
	}
	if err = write(file); err == nil {
		err = errors.Join(file.Chmod(mode), file.Sync())
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
