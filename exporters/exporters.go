// Package exporters brings redacted records and metrics to where people look:
// one file per exporter.
//
// Queues, retries and filters are not here: whoever calls an exporter has them
// once for all. Each exporter in the registry passes the same conformance and
// canary tests.
package exporters

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/fanlight-io/fanlight/redact"
)

// An Exporter delivers records to one destination.
//
// Export is not called concurrently with itself and must not retain batch. It
// returns when ctx is done. After an error the whole batch may be exported
// again: records that arrived twice have the same event_id. An error that is an
// [Undelivered] tells which records are concerned, [RetryAfter] when to come
// back. Wrap an error with Permanent if a retry can't help. After Close, Export
// returns ErrClosed.
type Exporter interface {
	Export(ctx context.Context, batch []redact.Record) error
	Close(ctx context.Context) error
}

// A Reopener is an exporter that can let go of what it holds open and open it
// again, as asked for by SIGHUP. Reopen may be called at any time.
type Reopener interface {
	Reopen() error
}

// A Counter is an exporter that counts what happens beside its deliveries. The
// names are fixed words and the values only grow. Counts may be called at any
// time.
type Counter interface {
	Counts() iter.Seq2[string, uint64]
}

// Config is the configuration of one exporter. Decode YAML into what NewConfig
// returns, then Validate it, then Open it.
type Config interface {
	// Validate checks everything that can be checked without touching anything.
	Validate() error
	// Open returns a running exporter.
	Open() (Exporter, error)
}

// registry maps the type key of the configuration to the exporter's config
// with its defaults.
var registry = map[string]func() Config{
	"otlp":   func() Config { return &OTLPConfig{OTLPConnection: defaultOTLP()} },
	"file":   func() Config { return &FileConfig{} },
	"kafka":  func() Config { return defaultKafka() },
	"stdout": func() Config { return &StdoutConfig{} },
	"syslog": func() Config { return defaultSyslog() },
}

// Types returns the types of exporters, sorted.
func Types() []string { return slices.Sorted(maps.Keys(registry)) }

// NewConfig returns the default configuration of a type of exporter.
func NewConfig(typ string) (Config, error) {
	fresh, ok := registry[typ]
	if !ok {
		return nil, fmt.Errorf("exporter type %q: want one of %s", typ, strings.Join(Types(), ", "))
	}
	return fresh(), nil
}

// ErrClosed is returned by an exporter that was closed.
var ErrClosed = errors.New("exporter is closed")

type permanentError struct{ err error }

func (e permanentError) Error() string { return e.err.Error() }
func (e permanentError) Unwrap() error { return e.err }

// Permanent marks an error that a retry of the same batch can't cure. It
// returns nil for nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentError{err}
}

// IsPermanent reports whether an error was marked by Permanent.
func IsPermanent(err error) bool {
	var p permanentError
	return errors.As(err, &p)
}
