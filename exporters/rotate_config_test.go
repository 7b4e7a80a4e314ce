package exporters

import (
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"path/filepath"
	"testing"
	"time"
)

func TestRotateConfigErrors(t *testing.T) {
	tests := []struct {
		config RotateConfig
		want   string
	}{
		{RotateConfig{Compress: "lzma", MaxSize: 1}, `compress "lzma": want none, gzip or zstd`},
		{RotateConfig{MaxAge: time.Microsecond}, "max_age 1µs: want 0 (never) or 10ms and more"},
		{RotateConfig{Keep: -1, MaxSize: 1}, "keep -1: want 0 (all) or more"},
		{RotateConfig{Keep: 1}, "keep, keep_bytes and compress are for rotated files: set max_size or max_age too"},
		{RotateConfig{Compress: Zstd}, "keep, keep_bytes and compress are for rotated files: set max_size or max_age too"},
	}
	for _, tt := range tests {
		if err := (&FileConfig{Path: "x", RotateConfig: tt.config}).Validate(); err == nil || err.Error() != tt.want {
			t.Errorf("%+v: want %q, got %v", tt.config, tt.want, err)
		}
	}
	if err := (&FileConfig{Path: "x", RotateConfig: RotateConfig{MaxSize: 1, Keep: 1, KeepBytes: 1, Compress: NoCompression}}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestSyncPolicy(t *testing.T) {
	for text, want := range map[string]SyncPolicy{"never": {}, "batch": {everyBatch: true}, "1s": {interval: time.Second}} {
		var got SyncPolicy
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "always", "1", "-1s", "1ns"} {
		if err := new(SyncPolicy).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

// syncCounter counts syncs.
type syncCounter struct {
	appendFile
	n int
}

func (s *syncCounter) Sync() error {
	s.n++
	return s.appendFile.Sync()
}

func TestFileSyncs(t *testing.T) {
	tests := []struct {
		policy             SyncPolicy
		afterBatch, onTick int
	}{
		{SyncPolicy{}, 0, 0},
		{SyncPolicy{everyBatch: true}, 3, 3},
		{SyncPolicy{interval: time.Hour}, 0, 1},
	}
	for _, tt := range tests {
		f := openRotating(t, filepath.Join(t.TempDir(), "events.jsonl"), RotateConfig{Sync: tt.policy})
		disk := &syncCounter{appendFile: f.file}
		f.file = disk
		for i := range 3 {
			mustExport(t, f, redacttest.Many(t, i, 1))
		}
		if disk.n != tt.afterBatch {
			t.Errorf("%+v: syncs after 3 batches: want %d, got %d", tt.policy, tt.afterBatch, disk.n)
		}
		f.onTick()
		f.onTick() // nothing new
		if disk.n != tt.onTick {
			t.Errorf("%+v: syncs after 2 ticks: want %d, got %d", tt.policy, tt.onTick, disk.n)
		}
	}
}
