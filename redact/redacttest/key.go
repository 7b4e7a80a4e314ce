package redacttest

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
)

// KeyFile returns a file that holds the key of tests.
func KeyFile(t testing.TB) string {
	t.Helper()
	key := sha256.Sum256([]byte("a key for tests"))
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, key[:], 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
