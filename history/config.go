package history

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fanlight-io/fanlight/bytesize"
)

// Config says how much is kept, and where.
type Config struct {
	// MaxBytes bounds what is kept, as it is kept: compressed but for the last
	// MiB or two. Default 64MiB.
	MaxBytes bytesize.Size `yaml:"max_bytes"`
	// MaxAge is how long an event is kept at most. Default 24h.
	MaxAge time.Duration `yaml:"max_age"`
	// Dir keeps events on disk, over restarts; empty: in memory. It belongs to
	// one agent alone.
	Dir string `yaml:"dir"`
}

const (
	defaultBytes = 64 << 20
	minBytes     = 1 << 20
	defaultAge   = 24 * time.Hour
	minAge       = time.Second
)

// Validate checks everything but the directory. Its errors name the key.
func (c Config) Validate() error {
	var errs []error
	if c.MaxBytes != 0 && c.MaxBytes < minBytes {
		errs = append(errs, fmt.Errorf("max_bytes: %v: want 1MiB or more", c.MaxBytes))
	}
	if c.MaxAge != 0 && c.MaxAge < minAge {
		errs = append(errs, fmt.Errorf("max_age: %v: want 1s or more", c.MaxAge))
	}
	if c.Dir != "" && !filepath.IsAbs(c.Dir) {
		errs = append(errs, fmt.Errorf("dir: %s: want an absolute path", c.Dir))
	}
	return errors.Join(errs...)
}

func (c Config) complete() Config {
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultBytes
	}
	if c.MaxAge == 0 {
		c.MaxAge = defaultAge
	}
	return c
}
