package redact_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// Each thing that a batch must not say is refused, and the error says which.
func TestBatchesThatAreRefused(t *testing.T) {
	ring := redact.AppendBatch(nil, redacttest.Many(t, 0, 2))
	membership := redact.AppendBatch(nil, redacttest.Records(t)[7:8])
	kinded := func(name string, kind redact.Type) []byte { return append([]byte(name), byte(kind)) }
	number := bytes.Repeat([]byte{0xff}, 9)
	tests := []struct {
		name      string
		batch     []byte
		old, with []byte // replaced once
		want      string
	}{
		{"nothing", nil, nil, nil, "version 0"},
		{"version", ring, ring[:1], []byte{2}, "version 2"},
		{"schema", ring, ring[:2], []byte{1, 2}, "schema version 2"},
		{"byte more", append(bytes.Clone(ring), 0), nil, nil, "1 bytes behind"},
		{"field unknown", ring, []byte("fan_out"), []byte("fan_in_"), `field "fan_in_" is not known`},
		{"field twice", ring, []byte("\x06copies"), []byte("\x05bytes"), "field bytes is there twice"},
		{"field of the origin", ring, []byte("\x04kind"), []byte("\x04node"), `field "node" is not known`},
		{"type", ring, kinded("fan_out", redact.TypeNumber), kinded("fan_out", redact.TypeWord), "field fan_out has type"},
		{"origin", ring, []byte("\x11b7861"), []byte("\x11B7861"), "origin without a prefix"},
		{"kind", ring, []byte("replication"), []byte("application"), "kind or action"},
		{"action", ring, []byte("periodic"), []byte("episodic"), "kind or action"},
		{"protocol", membership, []byte("igmpv3"), []byte("igmpv9"), "field protocol holds"},
		{"filter mode", membership, []byte("include"), []byte("incluse"), "field filter_mode holds"},
		{"word", membership, []byte("global"), []byte("glo\"al"), "field group_scope holds"},
		{"address", membership, []byte("&host_"), []byte("&host\""), "field host holds"},
		{"Ethernet address", membership, []byte("mac_"), []byte("mac\x00"), "field host_mac holds"},
		{"list", membership, []byte("source_"), []byte("source\\"), "field sources holds"},
		{"origins without end", append(append([]byte{1, 1}, number...), 1), nil, nil, "ends too early"},
		{"fields without end", append(append([]byte{1, 1, 0}, number...), 1), nil, nil, "ends too early"},
		{"records without end", append(append([]byte{1, 1, 0, 0}, number...), 1), nil, nil, "record 1 of"},
		{"number of 65 bits", append(append([]byte{1, 1, 0, 0}, number...), 2), nil, nil, "ends too early"},
		{"record of nothing", []byte{1, 1, 1, 0, 0, 0}, nil, nil, "origin without a prefix"},
		{"no origin", []byte{1, 1, 0, 0, 1, 0, 0, 0}, nil, nil, "origin is not in the batch"},
		{"nothing that each record has", append(append([]byte("\x01\x01\x01\x00\x00\x11"), "0123456789abcdef-"...), 0, 1, 0, 0, 0), nil, nil, "that each record has"},
		{"field not listed", append(append([]byte("\x01\x01\x01\x00\x00\x11"), "0123456789abcdef-"...), 0, 1, 0, 1, 0), nil, nil, "field is not in the batch"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			batch := bytes.Replace(test.batch, test.old, test.with, 1)
			if test.old != nil && bytes.Equal(batch, test.batch) {
				t.Fatalf("there is no %q in the batch", test.old)
			}
			var reader redact.BatchReader
			records, err := reader.Read(nil, batch)
			if !errors.Is(err, redact.ErrBadBatch) || !strings.Contains(err.Error(), test.want) || len(records) > 0 {
				t.Errorf("want %q, got %d records, %v", test.want, len(records), err)
			}
		})
	}
}
