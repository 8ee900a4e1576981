package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"
)

// claim is a folder that one process keeps to itself while followers of it run. What a
// second process has served from it would be removed by the first.
type claim struct {
	mutex sync.Mutex
	users int          // followers that run
	lock  *flock.Flock // nil where the folder is not claimed
}

var errClaimed = errors.New("another process keeps its releases in")

// join says that a follower runs, and leave that it has ended: with the last one the folder
// is free.
func (d *Directory) join() {
	d.claim.mutex.Lock()
	defer d.claim.mutex.Unlock()
	d.claim.users++
}

func (d *Directory) leave() {
	d.claim.mutex.Lock()
	defer d.claim.mutex.Unlock()
	if d.claim.users--; d.claim.users == 0 && d.claim.lock != nil {
		_ = d.claim.lock.Close()
		d.claim.lock = nil
	}
}

// own claims the folder, and makes it where it is not there. The error says that another
// process has claimed it, or is that of the disk. A file system without locks is as good
// as claimed.
func (d *Directory) own() error {
	d.claim.mutex.Lock()
	defer d.claim.mutex.Unlock()
	if d.claim.lock != nil {
		return nil
	}
	file, folder := d.modes()
	if err := os.MkdirAll(d.dir, folder); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(d.dir, lockFile), flock.SetPermissions(file))
	held, err := lock.TryLock()
	switch {
	case held, errors.Is(err, errors.ErrUnsupported):
		d.claim.lock = lock
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w %s: give each instance of a machine a state of its own in [store]", errClaimed, d.dir)
}
