package exporters

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/fanlight-io/fanlight/redact/redacttest"
	"golang.org/x/sys/unix"
)

// smallDisk mounts 64 kB for this goroutine's thread only. The thread ends with
// the goroutine, and the mount with the thread.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ownMounts(t)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestFileOnAFullDiskRecovers(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "events.jsonl")
	f := openFile(t, path)
	const perBatch = 10
	stored := 0
	for {
		err := f.Export(t.Context(), redacttest.Many(t, stored, perBatch))
		if errors.Is(err, syscall.ENOSPC) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if stored += perBatch; stored > 1000 {
			t.Fatal("the small disk never gets full")
		}
	}
	if err := f.Export(t.Context(), redacttest.Many(t, stored, perBatch)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("second try: want %v, got %v", syscall.ENOSPC, err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=1m"); err != nil {
		t.Fatal(err)
	}
	mustExport(t, f, redacttest.Many(t, stored, perBatch))
	got := seqs(t, readFile(t, path))
	for i := range stored + perBatch {
		if got[i] != 1 {
			t.Errorf("record %d: want 1, got %d", i, got[i])
		}
	}
}
