package exporters

import (
	"errors"
	"path/filepath"
	"strings"
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

// A read-only disk is an error that says so, and is no trouble once mended. (The
// kernel turns no disk read-only while a file on it is open for writing.)
func TestFileOnAReadOnlyDiskRecovers(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "events.jsonl")
	f := openFile(t, path)
	mustExport(t, f, redacttest.Many(t, 0, 5))
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	remount := func(flags uintptr) {
		t.Helper()
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(unix.MS_RDONLY)
	if _, err := (&FileConfig{Path: path}).Open(); !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), path) {
		t.Errorf("want %v and the path, got %v", syscall.EROFS, err)
	}
	remount(0)
	mustExport(t, openFile(t, path), redacttest.Many(t, 5, 5))
	if got := seqs(t, readFile(t, path)); len(got) != 10 {
		t.Errorf("records in the file: %v, want 0 to 9", got)
	}
}
