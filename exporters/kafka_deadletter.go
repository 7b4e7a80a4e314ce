package exporters

import (
	"context"
	"errors"

	"github.com/fanlight-io/fanlight/bytesize"
	"github.com/fanlight-io/fanlight/redact"
)

// DeadLetterConfig is where records go that the destination will never take.
// The zero value only counts them.
type DeadLetterConfig struct {
	// Path is a file of lines, as the exporter of type file writes it.
	Path string `yaml:"path"`
	// MaxSize begins a new file before this one gets larger; 0 means never.
	MaxSize bytesize.Size `yaml:"max_size"`
	// Keep is how many full files stay; 0 means all.
	Keep int `yaml:"keep"`
}

func (c *DeadLetterConfig) file(f Format) *FileConfig {
	return &FileConfig{Path: c.Path, Format: f, RotateConfig: RotateConfig{MaxSize: c.MaxSize, Keep: c.Keep}}
}

func (c *DeadLetterConfig) validate() error {
	if *c == (DeadLetterConfig{}) {
		return nil
	}
	return c.file(Native).Validate()
}

func (c *DeadLetterConfig) open(f Format) (deadLetters, error) {
	if c.Path == "" {
		return deadLetters{}, nil
	}
	e, err := c.file(f).Open()
	return deadLetters{e}, err
}

// deadLetters keeps records in the form in which they would have been sent, so
// that the lines can be produced again once the reason is gone.
type deadLetters struct{ file Exporter }

// keep writes records down, and reports whether there is a file for them.
func (d deadLetters) keep(ctx context.Context, records []redact.Record) (bool, error) {
	if d.file == nil || len(records) == 0 {
		return false, nil
	}
	return true, d.file.Export(ctx, records)
}

func (d deadLetters) Reopen() error {
	r, ok := d.file.(Reopener)
	if !ok {
		return nil
	}
	if err := r.Reopen(); err != nil && !errors.Is(err, ErrClosed) {
		return err
	}
	return nil
}

func (d deadLetters) Close(ctx context.Context) error {
	if d.file == nil {
		return nil
	}
	return d.file.Close(ctx)
}
