package spool

import (
	"errors"
	"fmt"
	"time"

	"github.com/fanlight-io/fanlight/bytesize"
)

// Config says where a spool is, how large it may become, and how durable it is.
type Config struct {
	// Dir is the spool's own directory. It is created with mode 0700; its parent
	// must exist.
	Dir string `yaml:"dir"`
	// MaxSize bounds the bytes on disk; 0 means 256MiB. It must be at least two
	// segments.
	MaxSize bytesize.Size `yaml:"max_size"`
	// SegmentSize is when the next file is begun; 0 means a sixteenth of MaxSize,
	// at most 16MiB. A batch must fit into a segment.
	SegmentSize bytesize.Size `yaml:"segment_size"`
	// Sync says when batches reach the disk; never by default.
	Sync SyncPolicy `yaml:"sync"`
	// WhenFull says what gives way when MaxSize is reached; DropOldest by default.
	WhenFull WhenFull `yaml:"when_full"`
}

const (
	defaultMaxSize = 256 << 20
	maxSegmentSize = 1 << 30
	minSegmentSize = 4 << 10
)

// withDefaults returns the configuration with nothing left to guess.
func (c Config) withDefaults() Config {
	if c.MaxSize == 0 {
		c.MaxSize = defaultMaxSize
	}
	if c.SegmentSize == 0 {
		c.SegmentSize = max(minSegmentSize, min(16<<20, c.MaxSize/16))
	}
	if c.WhenFull == "" {
		c.WhenFull = DropOldest
	}
	return c
}

// Capacity returns how many bytes the spool may take on disk.
func (c Config) Capacity() bytesize.Size { return c.withDefaults().MaxSize }

// Validate checks everything but the disk.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.Dir == "":
		return errors.New("dir is missing")
	case c.SegmentSize < minSegmentSize || c.SegmentSize > maxSegmentSize:
		return fmt.Errorf("segment_size %s: want %s to %s", c.SegmentSize, bytesize.Size(minSegmentSize), bytesize.Size(maxSegmentSize))
	case c.MaxSize < 2*c.SegmentSize: // so that dropping the oldest segment leaves something
		return fmt.Errorf("max_size %s: want two segments of %s or more", c.MaxSize, c.SegmentSize)
	case c.WhenFull != DropOldest && c.WhenFull != DropNewest:
		return fmt.Errorf("when_full %q: want %s or %s", c.WhenFull, DropOldest, DropNewest)
	}
	return nil
}

// WhenFull says what gives way in a full spool.
type WhenFull string

// What may give way.
const (
	DropOldest WhenFull = "drop_oldest" // the oldest segment
	DropNewest WhenFull = "drop_newest" // the batch that finds no room
)

// SyncPolicy says when what was appended is forced to the disk. Whatever the
// policy, it survives the end of the process, SIGKILL included, because it is
// in the kernel's page cache. A power cut or a crash of the kernel takes what
// was not yet synced: with never, up to half a minute or so of batches, as the
// kernel sees fit; with an interval, at most those since the last one; with
// batch, none that Append returned from. The zero value is never.
type SyncPolicy struct {
	everyBatch bool
	interval   time.Duration
}

// SyncEveryBatch makes Append return only when the batch is on the disk.
var SyncEveryBatch = SyncPolicy{everyBatch: true}

// SyncEvery syncs at intervals.
func SyncEvery(interval time.Duration) SyncPolicy { return SyncPolicy{interval: interval} }

// minInterval keeps the disk usable.
const minInterval = 10 * time.Millisecond

// UnmarshalText reads never, batch or a duration.
func (s *SyncPolicy) UnmarshalText(text []byte) error {
	switch word := string(text); word {
	case "never":
		*s = SyncPolicy{}
	case "batch":
		*s = SyncEveryBatch
	default:
		interval, err := time.ParseDuration(word)
		if err != nil || interval < minInterval {
			return fmt.Errorf("sync %q: want never, batch, or a duration of %s or more", word, minInterval)
		}
		*s = SyncEvery(interval)
	}
	return nil
}

func (s SyncPolicy) never() bool { return s == SyncPolicy{} }
