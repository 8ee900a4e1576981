package release

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	// MaxObject is how many octets an object has at most before it is compressed, and
	// MaxStored how many after: both are below the 1.5 MiB that etcd takes in a request.
	MaxObject = 1 << 20
	MaxStored = MaxObject + 8<<10

	// A file is cut behind a line that has this checksum, once there is enough for an
	// object: every 2048th line does, some 100 KiB of a hosts file.
	leastObject = 64 << 10
	cutMask     = 1<<11 - 1
)

// Digest is the SHA-256 of an object's content, in 64 lower-case hexadecimal digits. The
// digest of a manifest is the name of a release.
type Digest string

// DigestOf is the digest of a content.
func DigestOf(content []byte) Digest {
	sum := sha256.Sum256(content)
	return Digest(hex.EncodeToString(sum[:]))
}

// Valid tells whether it has the form of a digest.
func (d Digest) Valid() bool {
	if len(d) != 2*sha256.Size {
		return false
	}
	for _, c := range d {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// shortDigits are enough to tell the releases of one fleet apart.
const shortDigits = 12

// Short are the first digits, for people.
func (d Digest) Short() string { return string(d[:min(len(d), shortDigits)]) }

// Encode is a content as it is stored: compressed by gzip.
func Encode(content []byte) []byte {
	var stored bytes.Buffer
	w := gzip.NewWriter(&stored)
	_, err := w.Write(content)
	if err = errors.Join(err, w.Close()); err != nil {
		panic(err) // a buffer takes everything
	}
	return stored.Bytes()
}

// ErrDamaged is an object that is not what its digest says.
var ErrDamaged = errors.New("it is not what its digest says")

// Decode is the content of an object as it is stored. What is longer than an object may
// be, or has another digest, is [ErrDamaged].
func Decode(d Digest, stored []byte) ([]byte, error) {
	damaged := func() ([]byte, error) { return nil, fmt.Errorf("object %s: %w", d.Short(), ErrDamaged) }
	if len(stored) > MaxStored {
		return damaged()
	}
	r, err := gzip.NewReader(bytes.NewReader(stored))
	if err != nil {
		return damaged()
	}
	content, err := io.ReadAll(io.LimitReader(r, MaxObject+1))
	if err != nil || len(content) > MaxObject || DigestOf(content) != d {
		return damaged()
	}
	return content, nil
}

// cut divides a file into the contents of objects.
func cut(data []byte) (parts [][]byte) {
	start, at := 0, 0
	part := func(end int) {
		parts = append(parts, data[start:end])
		start, at = end, end
	}
	for at < len(data) {
		end := len(data)
		if n := bytes.IndexByte(data[at:], '\n'); n >= 0 {
			end = at + n + 1
		}
		switch {
		case end-start <= MaxObject:
			line := data[at:end]
			at = end
			if end-start >= leastObject && crc32.ChecksumIEEE(line)&cutMask == 0 {
				part(end)
			}
		case at > start:
			part(at) // the line is for the next object
		default:
			part(start + MaxObject) // the line alone is too long
		}
	}
	if start < len(data) {
		part(len(data))
	}
	return parts
}
