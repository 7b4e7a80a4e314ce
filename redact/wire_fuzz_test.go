package redact_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
)

// readsSound reads a payload. What is read must be valid JSON, and come back
// the same when it is written again.
func readsSound(t *testing.T, reader *redact.BatchReader, payload []byte) bool {
	t.Helper()
	records, err := reader.Read(nil, payload)
	if err != nil {
		if !errors.Is(err, redact.ErrBadBatch) || len(records) > 0 {
			t.Fatalf("%d records and error %v", len(records), err)
		}
		return false
	}
	for i := range records {
		if line := records[i].AppendJSON(nil); !json.Valid(line) || bytes.ContainsAny(line, "\n\r\x00") {
			t.Fatalf("not valid JSON: %q", line)
		}
	}
	var again redact.BatchReader
	got, err := again.Read(nil, redact.AppendBatch(nil, records))
	if err != nil {
		t.Fatalf("read, but not after it was written again: %v", err)
	}
	if want, got := allSeen(records), allSeen(got); !reflect.DeepEqual(want, got) {
		t.Fatalf("(-read +read again):\n%s", cmp.Diff(want, got))
	}
	return true
}

func FuzzBatchReader(f *testing.F) {
	for _, profile := range redact.Profiles() {
		p := redacttest.Policy(f, profile)
		f.Add(redact.AppendBatch(nil, p.Apply(nil, redacttest.Events())))
		f.Add(redact.AppendBatch(nil, p.Apply(nil, redacttest.Busy(0, 3))))
	}
	f.Add(redact.AppendBatch(nil, nil))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var reader redact.BatchReader
		readsSound(t, &reader, payload)
	})
}
