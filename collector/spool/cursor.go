package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
)

// The cursor is a file of its own: the number of the first record that is not
// acknowledged. It is replaced as a whole, so it is always that of some moment.
const (
	cursorName  = "cursor"
	cursorTmp   = "cursor.tmp"
	cursorMagic = "fancurs\x01" // with the version
	cursorSize  = 20
)

// readCursor returns ok false if there is no cursor, or a damaged one: then
// everything that is on disk is delivered, some of it again.
func readCursor(dir string) (seq uint64, ok bool, err error) {
	b, err := os.ReadFile(filepath.Join(dir, cursorName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("read cursor of spool: %w", err)
	}
	if len(b) != cursorSize || string(b[:8]) != cursorMagic || binary.LittleEndian.Uint32(b[16:]) != crc32.Checksum(b[:16], castagnoli) {
		return 0, false, nil
	}
	return binary.LittleEndian.Uint64(b[8:]), true, nil
}

// writeCursor replaces the cursor.
func writeCursor(dir string, seq uint64, sync bool) error {
	b := binary.LittleEndian.AppendUint64([]byte(cursorMagic), seq)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	tmp := filepath.Join(dir, cursorTmp)
	if err := writeFile(tmp, b, sync); err != nil {
		return fmt.Errorf("write cursor of spool: %w", err)
	}
	if err := os.Rename(tmp, filepath.Join(dir, cursorName)); err != nil {
		return fmt.Errorf("write cursor of spool: %w", err)
	}
	if sync {
		return syncDir(dir)
	}
	return nil
}

func writeFile(path string, content []byte, sync bool) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(content); err != nil {
		return err
	}
	if sync {
		return file.Sync()
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory of spool: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory of spool: %w", err)
	}
	return nil
}
