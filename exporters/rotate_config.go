package exporters

import (
	"errors"
	"fmt"
	"time"

	"github.com/fanlight-io/fanlight/bytesize"
)

// RotateConfig says when a log file makes room for a new one, and what becomes
// of the old ones. The zero value never rotates.
type RotateConfig struct {
	// MaxSize rotates before a batch that would make the file larger. A batch is
	// never split, so a file that begins with a large one may be larger.
	MaxSize bytesize.Size `yaml:"max_size"`
	// MaxAge rotates a file that was begun so long ago, unless it is empty.
	MaxAge time.Duration `yaml:"max_age"`
	// Keep is how many rotated files stay; 0 means all.
	Keep int `yaml:"keep"`
	// KeepBytes is how large the rotated files may be together; 0 means any size.
	KeepBytes bytesize.Size `yaml:"keep_bytes"`
	// Compress is none, gzip or zstd, for rotated files.
	Compress Compression `yaml:"compress"`
	// Sync says when lines reach the disk: never (as the kernel sees fit), batch
	// (before each batch counts as delivered), or a duration.
	Sync SyncPolicy `yaml:"sync"`
}

// Compression of rotated files.
type Compression string

// The compressions.
const (
	NoCompression Compression = "none"
	Gzip          Compression = "gzip"
	Zstd          Compression = "zstd"
)

// suffix is what the names of compressed files end with.
func (c Compression) suffix() string {
	switch c {
	case Gzip:
		return ".gz"
	case Zstd:
		return ".zst"
	}
	return ""
}

// SyncPolicy says when a file is synced: never, after each batch, or at
// intervals. The zero value is never.
type SyncPolicy struct {
	everyBatch bool
	interval   time.Duration
}

// UnmarshalText reads never, batch or a duration.
func (s *SyncPolicy) UnmarshalText(text []byte) error {
	*s = SyncPolicy{}
	switch word := string(text); word {
	case "never":
		return nil
	case "batch":
		s.everyBatch = true
		return nil
	default:
		interval, err := time.ParseDuration(word)
		if err != nil || interval < minInterval {
			return fmt.Errorf("sync %q: want never, batch, or a duration of %s or more", word, minInterval)
		}
		s.interval = interval
		return nil
	}
}

func (s SyncPolicy) never() bool { return s == SyncPolicy{} }

// minInterval keeps the keeper from spinning.
const minInterval = 10 * time.Millisecond

func (c *RotateConfig) rotates() bool { return c.MaxSize > 0 || c.MaxAge > 0 }

func (c *RotateConfig) validate() error {
	switch c.Compress {
	case "", NoCompression, Gzip, Zstd:
	default:
		return fmt.Errorf("compress %q: want none, gzip or zstd", c.Compress)
	}
	if c.MaxAge < 0 || c.MaxAge > 0 && c.MaxAge < minInterval {
		return fmt.Errorf("max_age %s: want 0 (never) or %s and more", c.MaxAge, minInterval)
	}
	if c.Keep < 0 {
		return fmt.Errorf("keep %d: want 0 (all) or more", c.Keep)
	}
	if !c.rotates() && (c.Keep > 0 || c.KeepBytes > 0 || c.Compress.suffix() != "") {
		return errors.New("keep, keep_bytes and compress are for rotated files: set max_size or max_age too")
	}
	return nil
}
