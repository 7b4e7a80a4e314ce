package exporters

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"google.golang.org/protobuf/proto"
)

// encodeAll returns one request with the records.
func encodeAll(t testing.TB, e *otlpEncoder, records []redact.Record) []byte {
	t.Helper()
	var dst []byte
	var ok bool
	for i := range records {
		if dst, ok = e.append(dst, &records[i], 1<<30); !ok {
			t.Fatal("a record does not fit into 1 GiB")
		}
	}
	return e.finish(dst)
}

// wantRequest compares what was encoded with what the generated types make of
// the same records.
func wantRequest(t testing.TB, encoded []byte, records []redact.Record) {
	t.Helper()
	request := mustDecode(t, encoded)
	i := 0
	for _, rl := range request.ResourceLogs {
		for _, sl := range rl.ScopeLogs {
			for _, got := range sl.LogRecords {
				if i >= len(records) {
					t.Fatalf("more than %d records", len(records))
				}
				res, want := otlpOracle(&records[i])
				sortAttributes(rl.Resource, got)
				if !proto.Equal(want, got) {
					t.Errorf("record %d:\nwant %v\ngot  %v", i, want, got)
				}
				if !proto.Equal(res, rl.Resource) {
					t.Errorf("resource of record %d:\nwant %v\ngot  %v", i, res, rl.Resource)
				}
				i++
			}
		}
	}
	if i != len(records) {
		t.Errorf("records: want %d, got %d", len(records), i)
	}
	if again, err := proto.Marshal(request); err != nil || len(again) != len(encoded) {
		t.Errorf("%d bytes, where the generated types write %d (%v)", len(encoded), len(again), err)
	}
}

func TestOTLPEncodesEachKind(t *testing.T) {
	e := newOTLPEncoder()
	for _, profile := range redact.Profiles() {
		policy := redacttest.Policy(t, profile)
		for name, events := range map[string]int{"usual": 0, "odd": 1} {
			all := redacttest.Events()
			if events == 1 {
				all = redacttest.OddEvents()
			}
			records := policy.Apply(nil, all)
			if len(records) == 0 {
				t.Fatalf("%s, %s: no records", profile, name)
			}
			wantRequest(t, encodeAll(t, e, records), records)
		}
	}
}

// Records of several hosts, as a relay may bring them, stand under a resource
// each, in their order.
func TestOTLPOrigins(t *testing.T) {
	var records []redact.Record
	for i, node := range []string{"node-1", "node-2", "node-2", strings.Repeat("n", 300), "node-1"} {
		policy, err := redact.NewPolicy(redact.Config{KeyFile: redacttest.KeyFile(t)}, redact.Origin{Node: node, BootID: "boot-of-" + node[:5]})
		if err != nil {
			t.Fatal(err)
		}
		records = policy.Apply(records, redacttest.Busy(10*i, 3))
	}
	encoded := encodeAll(t, newOTLPEncoder(), records)
	wantRequest(t, encoded, records)
	if got := len(mustDecode(t, encoded).ResourceLogs); got != 4 {
		t.Errorf("resources: want 4, got %d", got)
	}
}

// Any sequence of records, cut at any size, comes out as the generated types
// would have it, within the bound.
func TestOTLPProperty(t *testing.T) {
	pool := redacttest.Policy(t, redact.RevealProfile).Apply(nil, append(redacttest.OddEvents(), redacttest.Events()...))
	random := rand.New(rand.NewPCG(1, 2))
	e := newOTLPEncoder()
	for range 200 {
		var records []redact.Record
		for range random.IntN(60) {
			records = append(records, pool[random.IntN(len(pool))])
		}
		most := 600 + random.IntN(20000)
		for first := 0; first < len(records); {
			var dst []byte
			next, ok := first, true
			for ; next < len(records); next++ {
				if dst, ok = e.append(dst, &records[next], most); !ok {
					break
				}
			}
			dst = e.finish(dst)
			if len(dst) > most {
				t.Fatalf("%d bytes, more than %d", len(dst), most)
			}
			if next == first { // too large for the bound by itself
				if len(dst) != 0 {
					t.Fatalf("%d bytes without a record", len(dst))
				}
				next++
			} else {
				wantRequest(t, dst, records[first:next])
			}
			first = next
		}
	}
}

func TestOTLPEncodingDoesNotAllocate(t *testing.T) {
	records := redacttest.Records(t)
	e := newOTLPEncoder()
	buf := encodeAll(t, e, records)
	if n := testing.AllocsPerRun(100, func() {
		buf = buf[:0]
		for i := range records {
			buf, _ = e.append(buf, &records[i], 1<<30)
		}
		buf = e.finish(buf)
	}); n > 0 {
		t.Errorf("%v allocations for %d records", n, len(records))
	}
}

// What goes around in messages of any length keeps its length right.
func TestOTLPMessageLengths(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 16383, 16384, 1<<21 - 1, 1 << 21, 1 << 22} {
		dst, inner := beginMessage([]byte("before"), 3)
		dst = append(dst, make([]byte, n)...)
		dst = endMessage(dst, inner)
		want := appendBytesField([]byte("before"), 3, make([]byte, n))
		if string(dst) != string(want) {
			t.Errorf("%d bytes: want %x, got %x", n, want[:min(20, len(want))], dst[:min(20, len(dst))])
		}
	}
}

// Bytes of a reply are the peer's: none may do harm.
func FuzzOTLPReply(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x0a, 0x04, 0x08, 0x03, 0x12, 0x00})
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r otlpReply
		if err := r.parse(b); err != nil && err != errReply {
			t.Errorf("error %v", err)
		}
	})
}
