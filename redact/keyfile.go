package redact

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Who else than the owner may have a part in a key file. Systemd lets the
// service's user read a credential by an access list, whose mask shows up as
// bits of the group.
const (
	ownerOnly      fs.FileMode = 0o077
	credentialMode fs.FileMode = 0o037
)

const maxKeyFileBytes = 1 << 20

// keyStore is where the policies of one agent get their key from.
type keyStore struct {
	path      string // "" if the key was made at start
	forbidden fs.FileMode
	ring      atomic.Pointer[Keyring]
}

// openKeys reads the keys that the configuration names, or makes one.
func openKeys(cfg Config) (*keyStore, error) {
	k := &keyStore{path: cfg.KeyFile, forbidden: ownerOnly}
	if name := cfg.KeyCredential; name != "" {
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return nil, fmt.Errorf("key_credential %s: systemd gave no credentials: add LoadCredential=%s:FILE to the unit", name, name)
		}
		k.path, k.forbidden = filepath.Join(dir, name), credentialMode
	}
	if k.path != "" {
		return k, k.reload()
	}
	ring, err := newKeyring(randomKey())
	k.ring.Store(ring)
	return k, err
}

// reload reads the file again. After an error the old keys stay in force.
func (k *keyStore) reload() error {
	if k.path == "" {
		return nil
	}
	ring, err := readKeyring(k.path, k.forbidden)
	if err != nil {
		return err
	}
	k.ring.Store(ring)
	return nil
}

func readKeyring(path string, forbidden fs.FileMode) (*Keyring, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("key file %s: not a regular file", path)
	}
	if perm := info.Mode().Perm(); perm&forbidden != 0 {
		return nil, fmt.Errorf("key file %s: mode %04o lets others in: run chmod 0600 %s", path, perm, path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxKeyFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if len(raw) > maxKeyFileBytes {
		return nil, fmt.Errorf("key file %s: more than %d bytes", path, maxKeyFileBytes)
	}
	ring, err := parseKeyring(raw)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w; 'fanlight redact genkey FILE' makes a good one", path, err)
	}
	return ring, nil
}

// GenerateKey writes a new key ring with one random key to path, mode 0600. It
// returns an error that wraps [fs.ErrExist] if there is a file already.
func GenerateKey(path string) (*Keyring, error) {
	var none *Keyring
	ring, err := none.rotated(time.Now())
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if err := writeRing(f, ring); err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return ring, syncDir(filepath.Dir(path))
}

// RotateKey adds a random key to the ring in path and puts it in use; what was
// made under the old keys can still be revealed. The file is replaced as a
// whole.
func RotateKey(path string) (*Keyring, error) {
	old, err := OpenKeyring(path)
	if err != nil {
		return nil, err
	}
	ring, err := old.rotated(time.Now())
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if err := writeRing(f, ring); err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return nil, errors.Join(fmt.Errorf("key file: %w", err), os.Remove(f.Name()))
	}
	return ring, syncDir(dir)
}

// writeRing writes, syncs and closes.
func writeRing(f *os.File, ring *Keyring) error {
	_, err := f.Write(ring.marshal())
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	return nil
}

// syncDir makes a new name in the directory outlast a power cut.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("key file: sync its directory: %w", err)
	}
	return nil
}
