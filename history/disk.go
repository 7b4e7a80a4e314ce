package history

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrInUse is the error of Open for a directory that another process has locked.
var ErrInUse = errors.New("history is in use by another process")

// A file is a header, then the packed partition. The header, big endian:
//
//	"FLHS", version (1 byte), 3 bytes of zeros
//	digest of the policy's tag (32 bytes)
//	time of the oldest and the newest event, ns since the epoch (8 bytes each)
//	records, and events with the missing ones (8 bytes each)
//	size of the packed partition (8 bytes), its CRC-32C (4 bytes)
//	CRC-32C of the header before it (4 bytes)
const (
	fileMagic   = "FLHS"
	fileVersion = 1
	headerBytes = 8 + 32 + 8*5 + 4 + 4
	fileSuffix  = ".history"
	newSuffix   = ".tmp"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// disk is the directory of a history. Its methods are for one goroutine but
// read, which is for all.
type disk struct {
	dir  *os.File // holds the lock
	tag  [32]byte
	last int64 // name of the last file
}

// openDisk locks the directory, which it makes if need be, and returns the
// partitions there, oldest first. Files that are no whole partitions of that
// policy are removed.
func openDisk(path, tag string) (d *disk, parts []*partition, err error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, nil, fmt.Errorf("make directory: %w", err)
	}
	d = &disk{tag: sha256.Sum256([]byte(tag))}
	if d.dir, err = lockDir(path); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			d.dir.Close()
		}
	}()
	names, err := d.dir.Readdirnames(-1)
	if err != nil {
		return nil, nil, fmt.Errorf("read directory: %w", err)
	}
	slices.Sort(names) // as wide as each other
	for _, name := range names {
		full := filepath.Join(path, name)
		digits, ours := strings.CutSuffix(strings.TrimSuffix(name, newSuffix), fileSuffix)
		number, err := strconv.ParseInt(digits, 10, 64)
		if !ours || err != nil {
			continue // somebody else's
		}
		p, err := d.header(full)
		if err != nil || strings.HasSuffix(name, newSuffix) {
			if err := os.Remove(full); err != nil {
				return nil, nil, err
			}
			continue
		}
		d.last = max(d.last, number)
		parts = append(parts, p)
	}
	return d, parts, nil
}

// lockDir opens the directory and locks it until it is closed.
func lockDir(path string) (*os.File, error) {
	dir, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	info, err := dir.Stat()
	if err == nil && info.Mode().Perm()&0o022 != 0 {
		err = fmt.Errorf("%s may be written by others: mode %s, want 0700", path, info.Mode().Perm())
	}
	if err == nil {
		err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("%w: %s", ErrInUse, path)
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

func (d *disk) close() error { return d.dir.Close() }

// write writes a partition to a file of its own, which is there whole or not at
// all after a crash of the agent, and returns its path. What the kernel has not
// written when the host crashes is lost.
func (d *disk) write(p *partition, packed []byte) (path string, err error) {
	d.last = max(d.last+1, time.Now().UnixNano())
	path = filepath.Join(d.dir.Name(), fmt.Sprintf("%019d%s", d.last, fileSuffix))
	f, err := os.OpenFile(path+newSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.Write(append(d.appendHeader(nil, p, packed), packed...))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(path+newSuffix, path)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(path+newSuffix))
	}
	return path, nil
}

func (d *disk) appendHeader(dst []byte, p *partition, packed []byte) []byte {
	dst = append(dst, fileMagic...)
	dst = append(dst, fileVersion, 0, 0, 0)
	dst = append(dst, d.tag[:]...)
	for _, n := range []uint64{uint64(p.oldest), uint64(p.newest), p.records, p.next - p.first, uint64(len(packed))} {
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	dst = binary.BigEndian.AppendUint32(dst, crc32.Checksum(packed, castagnoli))
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst, castagnoli))
}

// header reads what a file says about itself. Only the size of what follows is
// checked: the rest is when it is read.
func (d *disk) header(path string) (*partition, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var head [headerBytes]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	sum := binary.BigEndian.Uint32(head[headerBytes-4:])
	switch {
	case string(head[:4]) != fileMagic || head[4] != fileVersion || sum != crc32.Checksum(head[:headerBytes-4], castagnoli):
		return nil, errDamaged
	case [32]byte(head[8:40]) != d.tag:
		return nil, errors.New("another policy's")
	}
	var n [5]uint64
	for i := range n {
		n[i] = binary.BigEndian.Uint64(head[40+8*i:])
	}
	if uint64(info.Size()) != headerBytes+n[4] {
		return nil, errDamaged
	}
	return &partition{
		oldest: int64(n[0]), newest: int64(n[1]), records: n[2], next: n[3], closed: true, path: path, size: int64(n[4]),
	}, nil
}

// read returns the packed partition of a file. The header was right once.
func (d *disk) read(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(raw) < headerBytes {
		return nil, errDamaged
	}
	packed := raw[headerBytes:]
	if binary.BigEndian.Uint32(raw[headerBytes-8:]) != crc32.Checksum(packed, castagnoli) {
		return nil, errDamaged
	}
	return packed, nil
}
