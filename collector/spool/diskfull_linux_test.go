package spool

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system for this goroutine's thread only. The thread
// ends with the goroutine, and the mount with the thread.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	runtime.LockOSThread() // never unlocked: the thread is spoilt for others
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); errors.Is(err, unix.EPERM) {
		t.Skip("needs the right to make a mount namespace")
	} else if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// fill appends until the disk is full.
func fill(t *testing.T, s *Spool, first int) (end int) {
	t.Helper()
	for end = first; ; end++ {
		err := s.Append(payload(end, 1000), recordsOf(end), begun.Add(time.Duration(end)))
		if errors.Is(err, syscall.ENOSPC) {
			return end
		}
		if err != nil {
			t.Fatal(err)
		}
		if end > first+1000 {
			t.Fatal("the small disk never gets full")
		}
	}
}

func TestFullDisk(t *testing.T) {
	cfg := Config{Dir: filepath.Join(smallDisk(t, "64k"), "spool"), MaxSize: 1 << 20, SegmentSize: 16 << 10}
	s := open(t, cfg)
	end := fill(t, s, 0)
	for range 3 { // it stays full, and whole
		if again := fill(t, s, end); again != end {
			t.Errorf("batch %d found room on a full disk", end)
		}
	}
	if d := cmp.Diff(upTo(0, end), waiting(t, s, 1000)); d != "" {
		t.Errorf("batches (-want +got):\n%s", d)
	}

	// What is delivered makes room.
	second := fill(t, s, end)
	if second-end < 20 {
		t.Errorf("only %d batches found room again", second-end)
	}
	if err := s.Close(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	s = open(t, cfg)
	if got := waiting(t, s, 1000); got[len(got)-1] != second-1 || len(got) < second-end {
		t.Errorf("after a restart: got %v, want up to %d", got, second-1)
	}
	if stats := s.Stats(); lostIn(stats) != 0 {
		t.Errorf("after a restart: %v lost", stats.Lost)
	}
}

func TestReadOnlyDisk(t *testing.T) {
	disk := smallDisk(t, "1m")
	s := open(t, Config{Dir: filepath.Join(disk, "spool"), MaxSize: 64 << 10, SegmentSize: 8 << 10})
	remount := func(flags uintptr) {
		if err := unix.Mount("", disk, "", unix.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(unix.MS_RDONLY)
	if err := s.Append(payload(0, 100), 2, begun); !errors.Is(err, syscall.EROFS) {
		t.Errorf("want %v, got %v", syscall.EROFS, err)
	}
	remount(0)
	mustAppend(t, s, 1, 3, 100)
	if d := cmp.Diff(upTo(1, 4), waiting(t, s, 100)); d != "" {
		t.Errorf("batches (-want +got):\n%s", d)
	}
	if n := lostIn(s.Stats()); n != 0 {
		t.Errorf("%d records are lost that the caller has", n)
	}
}

// What was there can still be read, nothing goes into a file without a name,
// and a new directory of that name is taken into use.
func TestRemovedDirectory(t *testing.T) {
	cfg := small(t)
	s := open(t, cfg)
	mustAppend(t, s, 0, 20, 1000)
	if err := os.RemoveAll(cfg.Dir); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.Append(payload(20, 1000), 2, begun); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("want %v, got %v", syscall.ENOENT, err)
		}
	}
	if d := cmp.Diff(upTo(0, 20), waiting(t, s, 1000)); d != "" {
		t.Errorf("batches (-want +got):\n%s", d)
	}
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, 21, 20, 1000)
	if _, err := Open(cfg); !errors.Is(err, ErrInUse) {
		t.Errorf("the new directory is not locked: %v", err)
	}
	if d := cmp.Diff(upTo(21, 41), waiting(t, s, 1000)); d != "" {
		t.Errorf("batches (-want +got):\n%s", d)
	}
	if n := lostIn(s.Stats()); n != 0 {
		t.Errorf("%d records are lost that the caller has", n)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
