package bpf

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestLoadOutsideBPFFS: a load that fails says why, and leaves nothing.
func TestLoadOutsideBPFFS(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fanlight")
	if _, err := Load(Options{Settings: DefaultSettings(), Dir: dir}); !errors.Is(err, ErrNotBPFFS) {
		t.Errorf("load: %v, want %v", err, ErrNotBPFFS)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a failed load left %s (%v)", dir, err)
	}
	if err := RemovePins(dir); !errors.Is(err, ErrNotBPFFS) {
		t.Errorf("remove: %v, want %v", err, ErrNotBPFFS)
	}
}
