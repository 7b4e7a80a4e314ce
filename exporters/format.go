package exporters

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fanlight-io/fanlight/redact"
)

// Format is how a record is written. The zero value is Native.
type Format string

// The formats.
const (
	Native Format = "native" // JSON with the names of docs/events.md
	ECS    Format = "ecs"    // JSON by the Elastic Common Schema
	OCSF   Format = "ocsf"   // JSON by the Open Cybersecurity Schema Framework
	CEF    Format = "cef"    // ArcSight's Common Event Format
	LEEF   Format = "leef"   // QRadar's Log Event Extended Format
)

// An encoder appends a record as one line, without the newline. It caches what
// records have in common, so that it allocates only for what is new; it is not
// safe for concurrent use.
type encoder interface {
	append(dst []byte, r *redact.Record) []byte
}

var encoders = map[Format]func() encoder{
	Native: func() encoder { return native{} },
	ECS:    newECS,
	OCSF:   newOCSF,
	CEF:    newCEF,
	LEEF:   newLEEF,
}

// Formats returns every format.
func Formats() []Format { return []Format{Native, ECS, OCSF, CEF, LEEF} }

func (f Format) orNative() Format {
	if f == "" {
		return Native
	}
	return f
}

// Validate checks that there is such a format.
func (f Format) Validate() error {
	if slices.Contains(Formats(), f.orNative()) {
		return nil
	}
	var names []string
	for _, known := range Formats() {
		names = append(names, string(known))
	}
	return fmt.Errorf("format %q: want one of %s", f, strings.Join(names, ", "))
}

// encoder returns a new encoder of a valid format.
func (f Format) encoder() encoder { return encoders[f.orNative()]() }

type native struct{}

func (native) append(dst []byte, r *redact.Record) []byte { return r.AppendJSON(dst) }

// appendLines appends the batch, one record per line.
func appendLines(dst []byte, enc encoder, batch []redact.Record) []byte {
	for i := range batch {
		dst = append(enc.append(dst, &batch[i]), '\n')
	}
	return dst
}

// product stands in records of formats that name their maker.
const product = "fanlight"

// lineStarts are how the lines of each format begin.
var lineStarts = []string{
	`{"` + redact.Table()[0].Name + `":`, ecsStart, ocsfStart, cefStart, leefStart,
}
