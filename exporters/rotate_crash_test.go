package exporters

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
)

func TestRotateCompresses(t *testing.T) {
	for _, how := range []Compression{Gzip, Zstd} {
		t.Run(string(how), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.jsonl")
			f := openRotating(t, path, RotateConfig{MaxSize: 20 << 10, Compress: how, Sync: SyncPolicy{everyBatch: true}})
			const batches, perBatch = 30, 10
			for i := range batches {
				mustExport(t, f, redacttest.Many(t, i*perBatch, perBatch))
			}
			waitFor(t, func() bool { return f.counts.compressed.Load() == f.counts.rotated.Load() })
			for _, name := range rotated(t, path) {
				info, err := os.Stat(name)
				if err != nil || info.Mode() != 0o600 || !strings.HasSuffix(name, how.suffix()) || info.Size() > 10<<10 {
					t.Errorf("%s: %v %v", name, info, err)
				}
			}
			wantAll(t, path, batches*perBatch)
		})
	}
}

// What a crash can leave of a compression is finished at the next start, and
// nothing of it is lost or doubled.
func TestRotateFinishesWhatACrashLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	source := path + ".20261122T213405.000000000Z"
	lines := string(appendLines(nil, native{}, redacttest.Many(t, 0, 100)))
	tests := map[string]func(){
		"source only":             func() {},
		"half of the target":      func() { writeFile(t, source+".gz.tmp", "half", 0o600) },
		"target not yet in place": func() { compressTo(t.Context(), source+".gz.tmp", source, Gzip) },
		"source not yet removed":  func() { compressTo(t.Context(), source+".gz", source, Gzip) },
	}
	for name, crash := range tests {
		t.Run(name, func(t *testing.T) {
			writeFile(t, source, lines, 0o600)
			crash()
			f := openRotating(t, path, RotateConfig{MaxSize: 1 << 20, Compress: Gzip})
			waitFor(t, func() bool { return f.counts.compressed.Load() == 1 })
			if d := cmp.Diff([]string{source + ".gz"}, rotated(t, path)); d != "" {
				t.Errorf("files (-want +got):\n%s", d)
			}
			wantAll(t, path, 100)
			f.Close(t.Context())
			os.Remove(source + ".gz")
		})
	}
}

const killedEnv = "FANLIGHT_TEST_KILLED"

// TestRotateKilledChild is not a test: it is what TestRotateSurvivesSIGKILL
// kills.
func TestRotateKilledChild(t *testing.T) {
	path := os.Getenv(killedEnv)
	if path == "" {
		t.Skip("only as a child")
	}
	first, err := strconv.Atoi(os.Getenv(killedEnv + "_FIRST"))
	if err != nil {
		t.Fatal(err)
	}
	f := openRotating(t, path, RotateConfig{MaxSize: 200 << 10, Compress: Gzip})
	policy := redacttest.Policy(t, redact.DefaultProfile)
	pace := time.NewTicker(2 * time.Millisecond)
	for i := first; ; i += 100 {
		<-pace.C
		mustExport(t, f, policy.Apply(nil, redacttest.Busy(i, 100)))
		os.Stdout.WriteString(strconv.Itoa(i+100) + "\n") // stored, from now on
	}
}

// Killed at any moment, in writing, rotating or compressing, every record that
// was stored is still there once, and the next start finishes the work.
func TestRotateSurvivesSIGKILL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	stored := 0
	for round := range 8 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestRotateKilledChild$")
		cmd.Env = append(os.Environ(), killedEnv+"="+path, killedEnv+"_FIRST="+strconv.Itoa(stored))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		killer := time.AfterFunc(time.Duration(100+37*round)*time.Millisecond, func() { cmd.Process.Kill() })
		said, err := io.ReadAll(out)
		killer.Stop()
		cmd.Wait()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(said)) {
			if n, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
				stored = n
			}
		}
		stored = max(stored, highest(t, path)) // stored, and killed before it could say so
	}
	f := openRotating(t, path, RotateConfig{MaxSize: 200 << 10, Compress: Gzip})
	waitFor(t, func() bool {
		for _, name := range rotated(t, path) {
			if !strings.HasSuffix(name, ".gz") {
				return false
			}
		}
		return true
	})
	f.Close(t.Context())
	if stored < 1000 || len(rotated(t, path)) < 2 {
		t.Errorf("too little happened: %d records in %v", stored, rotated(t, path))
	}
	wantAll(t, path, stored)
}

// highest is one more than the number of the last record in the file. It opens
// it, which cuts off what was torn.
func highest(t *testing.T, path string) (n int) {
	t.Helper()
	f := openRotating(t, path, RotateConfig{})
	f.Close(t.Context())
	for seq := range seqs(t, readFile(t, path)) {
		n = max(n, seq+1)
	}
	return n
}
