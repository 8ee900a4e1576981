package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	// largestFile is how many octets a file in TOML may have: more than a million
	// endpoints. What is larger is something else, and would take all memory.
	largestFile = 64 << 20
	// largestHosts is the same for a hosts file, which takes far less memory.
	largestHosts = 256 << 20
	// largestKeyFile is the same for a file of keys, certificates or a token.
	largestKeyFile = 1 << 20
)

// ReadFile reads a regular file of at most so many octets. Anything else is an error, and
// not opened, as [OpenFile] says.
func ReadFile(path string, most int64) ([]byte, error) {
	file, size, err := OpenFile(path, most)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readAll(path, file, size, most)
}

// OpenFile opens a regular file of at most so many octets, and tells how many it has.
// What is none is refused before it is opened: to open a named pipe waits for
// somebody at its other end, which may be for ever, a device may have no end, and
// some devices act on it. The caller closes the file, and bounds what it reads: the file
// may grow. The error is that of the system, or says what it is instead.
func OpenFile(path string, most int64) (file *os.File, size int64, err error) {
	info, err := os.Stat(path)
	if fault, is := errors.AsType[*fs.PathError](err); is {
		return nil, 0, &fs.PathError{Op: "open", Path: path, Err: fault.Err}
	} else if err != nil {
		return nil, 0, err
	}
	if err := regular(path, info, most); err != nil {
		return nil, 0, err
	}
	// It may have been replaced since; without O_NONBLOCK that could wait.
	if file, err = os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0); err != nil {
		return nil, 0, err
	}
	if info, err = file.Stat(); err == nil {
		err = regular(path, info, most)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// boundedFile is a file that may grow while it is read.
type boundedFile struct {
	file *os.File
	path string
	left int64
}

// Read implements [io.Reader].
func (b *boundedFile) Read(p []byte) (int, error) {
	n, err := b.file.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLarge(b.path, largestHosts)
	}
	return n, err
}

// Close implements [io.Closer].
func (b *boundedFile) Close() error { return b.file.Close() }

// readAll reads what is expected to have size octets, and refuses more than most: a
// file may grow while it is read.
func readAll(path string, from io.Reader, size, most int64) ([]byte, error) {
	data := make([]byte, 0, min(size, most)+1)
	from = io.LimitReader(from, most+1)
	for {
		n, err := from.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case int64(len(data)) > most:
			return nil, tooLarge(path, most)
		case err == io.EOF:
			return data, nil
		case err != nil:
			return nil, err
		}
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
	}
}

// regular refuses what is no regular file, and what has more octets than most.
func regular(path string, info fs.FileInfo, most int64) error {
	kind := ""
	switch mode := info.Mode(); {
	case mode.IsRegular() && info.Size() > most:
		return tooLarge(path, most)
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		kind = "a directory"
	case mode&fs.ModeNamedPipe != 0:
		kind = "a named pipe"
	case mode&fs.ModeSocket != 0:
		kind = "a socket"
	case mode&fs.ModeDevice != 0:
		kind = "a device"
	default:
		kind = "something else"
	}
	return fmt.Errorf("%s is %s and no regular file", path, kind)
}

func tooLarge(path string, most int64) error {
	size := fmt.Sprintf("%d MiB", most>>20)
	if most < 1<<20 {
		size = fmt.Sprintf("%d KiB", most>>10)
	}
	return fmt.Errorf("%s has more than %s, the most that is read", path, size)
}

// readMain reads the main file. It may also be what the program was handed open, as
// by a shell that writes a configuration into "pldns check -c /dev/stdin".
func readMain(path string) ([]byte, error) {
	if path != "/dev/stdin" && !strings.HasPrefix(path, "/dev/fd/") && !strings.HasPrefix(path, "/proc/self/fd/") {
		return ReadFile(path, largestFile)
	}
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readAll(path, file, 0, largestFile)
}
