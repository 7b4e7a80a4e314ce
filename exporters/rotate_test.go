package exporters

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/bytesize"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

func openRotating(t *testing.T, path string, c RotateConfig) *logFile {
	t.Helper()
	e, err := (&FileConfig{Path: path, RotateConfig: c}).Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(t.Context()) })
	return e.(*logFile)
}

// unpack reads a file, whatever its compression.
func unpack(t *testing.T, path string) []byte {
	t.Helper()
	raw := readFile(t, path)
	var r io.Reader = bytes.NewReader(raw)
	var err error
	switch filepath.Ext(path) {
	case ".gz":
		r, err = gzip.NewReader(r)
	case ".zst":
		r, err = zstd.NewReader(r)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return all
}

// wantAll checks that the files that begin with path hold each of n records,
// once, in whole lines.
func wantAll(t *testing.T, path string, n int) {
	t.Helper()
	names, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, name := range names {
		all = append(all, unpack(t, name)...)
	}
	got := seqs(t, all)
	for i := range n {
		if got[i] != 1 {
			t.Errorf("record %d: want 1, got %d", i, got[i])
		}
	}
	if len(got) != n {
		t.Errorf("records: want %d, got %d in %v", n, len(got), names)
	}
}

func rotated(t *testing.T, path string) []string {
	t.Helper()
	files, err := rotatedFiles(path)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestRotateBySize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	const batches, perBatch, limit = 40, 10, 16 << 10
	f := openRotating(t, path, RotateConfig{MaxSize: limit})
	for i := range batches {
		mustExport(t, f, redacttest.Many(t, i*perBatch, perBatch))
	}
	files := rotated(t, path)
	if len(files) < 5 || f.counts.rotated.Load() != uint64(len(files)) {
		t.Errorf("rotated files: got %d, counted %d", len(files), f.counts.rotated.Load())
	}
	for _, name := range append(files, path) {
		info, err := os.Stat(name)
		if err != nil || info.Size() > limit || info.Mode() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	wantAll(t, path, batches*perBatch)
}

func TestRotateByAge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f := openRotating(t, path, RotateConfig{MaxAge: time.Hour})
	now := time.Now()
	f.now = func() time.Time { return now }
	steps := []struct {
		after time.Duration
		want  int // rotated files
	}{
		{2 * time.Hour, 0}, // its first line: an empty file has no age
		{59 * time.Minute, 0},
		{time.Minute, 1},
		{30 * time.Minute, 1},
		{30 * time.Minute, 2},
	}
	for i, step := range steps {
		now = now.Add(step.after)
		mustExport(t, f, redacttest.Many(t, i, 1))
		if got := len(rotated(t, path)); got != step.want {
			t.Errorf("step %d: rotated files: want %d, got %d", i, step.want, got)
		}
	}
	now = now.Add(time.Hour)
	f.onTick()
	f.onTick() // the new file is empty
	if got := len(rotated(t, path)); got != 3 {
		t.Errorf("after an idle hour: rotated files: want 3, got %d", got)
	}
	wantAll(t, path, len(steps))
}

// A file that a former run began keeps its age.
func TestRotateAgeSurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f := openRotating(t, path, RotateConfig{})
	mustExport(t, f, redacttest.Many(t, 0, 1))
	f.Close(t.Context())
	f = openRotating(t, path, RotateConfig{MaxAge: time.Hour})
	f.now = func() time.Time { return time.Now().Add(time.Hour + time.Second) }
	mustExport(t, f, redacttest.Many(t, 1, 1))
	if got := len(rotated(t, path)); got != 1 {
		t.Errorf("rotated files: want 1, got %d", got)
	}
}

func TestRotateNeverReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f := openRotating(t, path, RotateConfig{MaxSize: 1})
	at := time.Date(2026, 11, 22, 21, 34, 5, 999_999_999, time.UTC)
	f.now = func() time.Time { return at }
	for i := range 5 {
		mustExport(t, f, redacttest.Many(t, i, 1))
	}
	var got []string
	for _, name := range rotated(t, path) {
		got = append(got, strings.TrimPrefix(name, path))
	}
	want := []string{
		".20261122T213405.999999999Z", ".20261122T213406.000000000Z", ".20261122T213406.000000001Z", ".20261122T213406.000000002Z",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("names (-want +got):\n%s", d)
	}
	wantAll(t, path, 5)
}

func TestRotateKeepsWithinLimits(t *testing.T) {
	one := len(appendLines(nil, native{}, redacttest.Many(t, 0, 1)))
	tests := []struct {
		name   string
		config RotateConfig
		want   int
	}{
		{"count", RotateConfig{Keep: 3}, 3},
		{"bytes", RotateConfig{KeepBytes: bytesize.Size(2*one + one/2)}, 2},
		{"both", RotateConfig{Keep: 1, KeepBytes: 1 << 20}, 1},
		{"compressed", RotateConfig{Keep: 2, Compress: Gzip}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "events.jsonl")
			for _, foreign := range []string{"events.jsonl.1", "events.jsonl-20261122", "other.jsonl.20261122T213405.123456789Z"} {
				writeFile(t, filepath.Join(dir, foreign), "not ours", 0o600)
			}
			tt.config.MaxSize = 1
			f := openRotating(t, path, tt.config)
			const n = 8
			for i := range n {
				mustExport(t, f, redacttest.Many(t, i, 1))
			}
			waitFor(t, func() bool {
				return f.counts.removed.Load() == n-1-uint64(tt.want) && len(rotated(t, path)) == tt.want
			})
			files := rotated(t, path)
			for i, name := range files { // the newest ones
				if got := seqs(t, unpack(t, name)); got[n-1-len(files)+i] != 1 {
					t.Errorf("%s holds %v", name, got)
				}
			}
			if all, _ := filepath.Glob(filepath.Join(dir, "*")); len(all) != tt.want+4 {
				t.Errorf("what is not ours is gone: %v", all)
			}
		})
	}
}

// Rotation by size, renames by others and reopenings, all at once.
func TestRotateAmongOthersLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f := openRotating(t, path, RotateConfig{MaxSize: 30 << 10, Compress: Zstd})
	const batches, perBatch, renames = 400, 5, 20
	policy := redacttest.Policy(t, redact.DefaultProfile)
	var writer sync.WaitGroup
	writer.Go(func() {
		var records []redact.Record
		for i := range batches {
			records = policy.Apply(records[:0], redacttest.Busy(i*perBatch, perBatch))
			if err := f.Export(t.Context(), records); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range renames {
		err := os.Rename(path, path+"."+string(rune('a'+i)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // in the middle of a rotation
			t.Error(err)
		}
		if err := f.Reopen(); err != nil {
			t.Error(err)
		}
	}
	writer.Wait()
	waitFor(t, func() bool { return f.counts.compressed.Load() == f.counts.rotated.Load() })
	wantAll(t, path, batches*perBatch)
}

// Somebody renames the file and forgets to tell.
func TestRotateNoticesASilentRename(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f := openRotating(t, path, RotateConfig{})
	now := time.Now()
	f.now = func() time.Time { return now }
	mustExport(t, f, redacttest.Many(t, 0, 1))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	mustExport(t, f, redacttest.Many(t, 1, 1)) // to the old one: the renamer may still tell
	if _, err := os.Stat(path); err == nil {
		t.Error("the file is there before its time")
	}
	now = now.Add(abandonedAfter)
	mustExport(t, f, redacttest.Many(t, 2, 1))
	if got := seqs(t, readFile(t, path)); got[2] != 1 || len(got) != 1 {
		t.Errorf("new file: got %v", got)
	}
	wantAll(t, path, 3)
}

// ownMounts gives this test's thread mounts of its own.
func ownMounts(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread is spoilt for others
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); errors.Is(err, unix.EPERM) {
		t.Skip("needs the right to make a mount namespace")
	} else if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
}

// A file that can't be renamed goes on; it rotates as soon as it can.
func TestRotateFailureKeepsWriting(t *testing.T) {
	ownMounts(t)
	path := filepath.Join(t.TempDir(), "events.jsonl")
	writeFile(t, path, "", 0o600)
	if err := unix.Mount(path, path, "", unix.MS_BIND, ""); err != nil { // makes it busy
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(path, unix.MNT_DETACH) })
	f := openRotating(t, path, RotateConfig{MaxSize: 1})
	for i := range 3 {
		mustExport(t, f, redacttest.Many(t, i, 1))
	}
	if failed := f.counts.rotateFailed.Load(); failed != 2 || len(rotated(t, path)) != 0 {
		t.Errorf("failed rotations: want 2, got %d", failed)
	}
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	mustExport(t, f, redacttest.Many(t, 3, 1))
	wantAll(t, path, 4)
}

// The disk gets full in the middle of rotation and compression; the agent goes
// on and catches up when there is room.
func TestRotateOnAFullDiskRecovers(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "events.jsonl")
	f := openFile(t, path) // without its own keeper: that one's thread would not see the mount
	f.rotate = RotateConfig{MaxSize: 12 << 10, Compress: Gzip}
	k := &keeper{log: f}
	const perBatch = 10
	stored := 0
	for ; stored < 1000; stored += perBatch {
		if err := f.Export(t.Context(), redacttest.Many(t, stored, perBatch)); errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	filler := filepath.Join(dir, "filler") // the last page that is free
	if err := os.WriteFile(filler, make([]byte, 64<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	k.tidy(t.Context())
	if f.counts.compressFailed.Load() == 0 {
		t.Error("compression works on a full disk")
	}
	if tmp, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(tmp) > 0 {
		t.Errorf("leftovers: %v", tmp)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=1m"); err != nil {
		t.Fatal(err)
	}
	mustExport(t, f, redacttest.Many(t, stored, perBatch))
	k.tidy(t.Context())
	if c := f.counts.compressed.Load(); c != f.counts.rotated.Load() || c == 0 {
		t.Errorf("compressed: want %d, got %d", f.counts.rotated.Load(), c)
	}
	wantAll(t, path, stored+perBatch)
}
