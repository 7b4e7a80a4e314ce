package spool

import (
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func TestConfigFromYAML(t *testing.T) {
	var got Config
	text := "dir: /var/lib/x\nmax_size: 1GiB\nsegment_size: 8MiB\nsync: 250ms\nwhen_full: drop_newest\n"
	if err := yaml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	want := Config{Dir: "/var/lib/x", MaxSize: 1 << 30, SegmentSize: 8 << 20, Sync: SyncEvery(250 * time.Millisecond), WhenFull: DropNewest}
	if got != want || got.Validate() != nil {
		t.Errorf("want %+v, got %+v: %v", want, got, got.Validate())
	}
	for _, bad := range []string{"sync: often", "sync: 1ms", "max_size: -1", "max_size: 1 parsec"} {
		if err := yaml.Unmarshal([]byte(bad), &got); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func TestConfigDefaults(t *testing.T) {
	want := Config{Dir: "d", MaxSize: 256 << 20, SegmentSize: 16 << 20, WhenFull: DropOldest}
	if got := (Config{Dir: "d"}).withDefaults(); got != want {
		t.Errorf("want %+v, got %+v", want, got)
	}
	for _, bad := range []Config{
		{}, {Dir: "d", MaxSize: 1 << 10}, {Dir: "d", SegmentSize: 1}, {Dir: "d", SegmentSize: 2 << 30, MaxSize: 8 << 30},
		{Dir: "d", MaxSize: 1 << 20, SegmentSize: 1 << 20}, {Dir: "d", WhenFull: "block"},
	} {
		if err := bad.Validate(); err == nil {
			t.Errorf("%+v: no error", bad)
		}
		if _, err := Open(bad); err == nil {
			t.Errorf("%+v: opened", bad)
		}
	}
}
