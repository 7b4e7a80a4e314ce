package exporters

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
)

func openFile(t *testing.T, path string) *logFile {
	t.Helper()
	e, err := (&FileConfig{Path: path}).Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(t.Context()) })
	return e.(*logFile)
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func writeFile(t testing.TB, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// seqs returns the numbers of the records, and fails on a line that is none.
func seqs(t *testing.T, lines []byte) map[int]int {
	t.Helper()
	counts := map[int]int{}
	for line := range bytes.Lines(lines) {
		var r struct {
			EventID string `json:"event_id"`
			Seq     *int   `json:"seq"`
		}
		if err := json.Unmarshal(line, &r); err != nil || r.Seq == nil || r.EventID == "" {
			t.Errorf("line is no record: %q: %v", line, err)
			continue
		}
		counts[*r.Seq]++
	}
	return counts
}

func TestFileIsForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	tests := []struct {
		name   string
		before func()
	}{
		{"new", func() {}},
		{"others could read it", func() { os.Chmod(path, 0o644) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.before()
			openFile(t, path)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode(); got != 0o600 {
				t.Errorf("mode: want 0600, got %v", got)
			}
		})
	}
}

func TestFileRefusesToOpen(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	writeFile(t, at("target"), "", 0o600)
	writeFile(t, at("foreign"), "root:x:0:0:root:/root", 0o644)
	if err := errors.Join(os.Symlink(at("target"), at("link")), syscall.Mkfifo(at("fifo"), 0o600), os.Mkdir(at("dir"), 0o700)); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ path, want string }{
		{"", "path is missing"},
		{at("link"), "is a symbolic link: name the file itself"},
		{at("fifo"), "not a regular file"},
		{at("dir"), "is a directory"},
		{at("none/events.jsonl"), "directory " + at("none") + " is not there: make it first"},
		{at("target/events.jsonl"), at("target") + " is not a directory"},
		{at("foreign"), "its last line is no record: move the file away"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			e, err := (&FileConfig{Path: tt.path}).Open()
			if err == nil {
				e.Close(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("open %q: want an error with %q, got %v", tt.path, tt.want, err)
			}
		})
	}
	if d := cmp.Diff("root:x:0:0:root:/root", string(readFile(t, at("foreign")))); d != "" {
		t.Errorf("the foreign file changed:\n%s", d)
	}
}

func TestFileCutsWhatACrashTore(t *testing.T) {
	whole := string(appendLines(nil, native{}, redacttest.Many(t, 0, 2)))
	for cut := 1; cut < 60; cut++ {
		path := filepath.Join(t.TempDir(), "events.jsonl")
		writeFile(t, path, whole+whole[:cut], 0o600)
		f := openFile(t, path)
		mustExport(t, f, redacttest.Many(t, 2, 1))
		want := whole + string(appendLines(nil, native{}, redacttest.Many(t, 2, 1)))
		if d := cmp.Diff(want, string(readFile(t, path))); d != "" {
			t.Fatalf("after %d bytes of a torn line (-want +got):\n%s", cut, d)
		}
	}
}

func TestFileCutsALongTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	whole := string(appendLines(nil, native{}, redacttest.Many(t, 0, 1)))
	writeFile(t, path, whole+lineStarts[0]+strings.Repeat("1", 10000), 0o600)
	openFile(t, path)
	if d := cmp.Diff(whole, string(readFile(t, path))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// fullFile takes only so many bytes.
type fullFile struct {
	appendFile
	room       int
	noTruncate bool
}

func (f *fullFile) Write(p []byte) (int, error) {
	if len(p) <= f.room {
		f.room -= len(p)
		return f.appendFile.Write(p)
	}
	n, err := f.appendFile.Write(p[:f.room])
	f.room = 0
	return n, errors.Join(err, syscall.ENOSPC)
}

func (f *fullFile) Truncate(size int64) error {
	if f.noTruncate {
		return syscall.EIO
	}
	return f.appendFile.Truncate(size)
}

// The disk gets full after each possible number of bytes: no line is torn, no
// record lost, and none doubled if the part can be taken back.
func TestFileDiskFullAtEachByte(t *testing.T) {
	first, second := redacttest.Many(t, 0, 1), redacttest.Many(t, 1, 3)
	size := len(appendLines(nil, native{}, second))
	for _, noTruncate := range []bool{false, true} {
		for room := 0; room < size; room += 7 {
			path := filepath.Join(t.TempDir(), "events.jsonl")
			f := openFile(t, path)
			mustExport(t, f, first)
			disk := &fullFile{appendFile: f.file, room: room, noTruncate: noTruncate}
			f.file = disk
			for range 2 {
				if err := f.Export(t.Context(), second); !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("error: want %v, got %v", syscall.ENOSPC, err)
				}
			}
			disk.room = 1 << 20
			mustExport(t, f, second)
			checkAfterFull(t, readFile(t, path), noTruncate)
		}
	}
}

// A write that fails behind a torn line leaves it torn, and the line after it
// stands for itself.
func TestFileFailsAgainBehindATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f := openFile(t, path)
	disk := &fullFile{appendFile: f.file, room: 50, noTruncate: true}
	f.file = disk
	batch := redacttest.Many(t, 0, 4)
	for range 2 { // the first can't be taken back, the second can
		if err := f.Export(t.Context(), batch); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("error: want %v, got %v", syscall.ENOSPC, err)
		}
		disk.room, disk.noTruncate = 70, false
	}
	disk.room = 1 << 20
	mustExport(t, f, batch)
	lines := appendLines(nil, native{}, batch)
	want := string(lines[:50]) + "\n" + string(lines)
	if d := cmp.Diff(want, string(readFile(t, path))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// crowdedFile is one that somebody else appends to at the worst moment.
type crowdedFile struct{ fullFile }

func (f *crowdedFile) Write(p []byte) (int, error) {
	n, err := f.fullFile.Write(p)
	if err != nil {
		f.appendFile.Write([]byte("from somebody else\n"))
	}
	return n, err
}

func TestFileTakesBackOnlyItsOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f := openFile(t, path)
	f.file = &crowdedFile{fullFile{appendFile: f.file, room: 50}}
	if err := f.Export(t.Context(), redacttest.Many(t, 0, 1)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error: want %v, got %v", syscall.ENOSPC, err)
	}
	if got := string(readFile(t, path)); !strings.HasSuffix(got, "from somebody else\n") {
		t.Errorf("somebody else's line is gone: %q", got)
	}
}

func checkAfterFull(t *testing.T, got []byte, noTruncate bool) {
	t.Helper()
	if !noTruncate {
		if d := cmp.Diff(map[int]int{0: 1, 1: 1, 2: 1, 3: 1}, seqs(t, got)); d != "" {
			t.Fatalf("records (-want +got):\n%s", d)
		}
		return
	}
	whole := map[string]bool{}
	torn := 0
	for line := range bytes.Lines(got) {
		if json.Valid(line) {
			whole[string(line)] = true
		} else if torn++; line[len(line)-1] != '\n' {
			t.Fatalf("torn line has no end: %q", line)
		}
	}
	if len(whole) != 4 || torn > 1 {
		t.Fatalf("want 4 records and at most 1 torn line, got %d and %d", len(whole), torn)
	}
}

func TestFileReopenLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f := openFile(t, path)
	const batches, perBatch, rotations = 400, 5, 20
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
	for i := range rotations {
		if err := os.Rename(path, path+"."+string(rune('a'+i))); err != nil {
			t.Error(err)
		}
		if err := f.Reopen(); err != nil {
			t.Error(err)
		}
	}
	writer.Wait()

	var all []byte
	names, err := filepath.Glob(path + "*")
	if err != nil || len(names) != rotations+1 {
		t.Fatalf("files: want %d, got %v %v", rotations+1, names, err)
	}
	for _, name := range names {
		all = append(all, readFile(t, name)...)
	}
	got := seqs(t, all)
	for i := range batches * perBatch {
		if got[i] != 1 {
			t.Errorf("record %d: want 1, got %d", i, got[i])
		}
	}
}

func TestFileReopenFailureKeepsTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path, renamed := filepath.Join(dir, "events.jsonl"), filepath.Join(dir, "events.1")
	f := openFile(t, path)
	if err := errors.Join(os.Rename(path, renamed), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(); err == nil {
		t.Error("a directory was opened as log file")
	}
	batch := redacttest.Many(t, 0, 2)
	mustExport(t, f, batch)
	if d := cmp.Diff(appendLines(nil, native{}, batch), readFile(t, renamed)); d != "" {
		t.Errorf("old file (-want +got):\n%s", d)
	}
}

func TestFileDeletedIsMadeAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f := openFile(t, path)
	mustExport(t, f, redacttest.Many(t, 0, 1))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	batch := redacttest.Many(t, 1, 1)
	mustExport(t, f, batch)
	if d := cmp.Diff(appendLines(nil, native{}, batch), readFile(t, path)); d != "" {
		t.Errorf("new file (-want +got):\n%s", d)
	}
}
