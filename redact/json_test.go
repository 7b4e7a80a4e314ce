package redact

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/google/go-cmp/cmp"
)

// asMap is the record by its iterator.
func asMap(r *Record) map[string]any {
	m := map[string]any{}
	for f, v := range r.Fields() {
		switch f.Type {
		case TypeNumber:
			m[f.Name] = v.Number()
		case TypeTime:
			m[f.Name] = v.Time().Format("2006-01-02T15:04:05.000000000Z07:00")
		case TypeList:
			m[f.Name] = slices.Collect(v.List())
		default:
			m[f.Name] = v.Text()
		}
	}
	return m
}

// checkJSON compares the record's line with encoding/json of the same map.
func checkJSON(t *testing.T, r *Record) {
	t.Helper()
	std, err := json.Marshal(asMap(r))
	if err != nil {
		t.Fatal(err)
	}
	var want, got map[string]any
	line := r.AppendJSON(nil)
	if err := json.Unmarshal(std, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-encoding/json +AppendJSON):\n%s", line, d)
	}
}

func TestJSONMeansTheSameAsEncodingJSON(t *testing.T) {
	p := newPolicy(t, Config{})
	for _, kind := range bpf.Kinds() {
		e := fullEvent(t, kind)
		e.Interface, e.Domain = "<p\"0\\\n\t\r\x00\x7f\u2028\xff>&", "füllhorn 🪭"
		e.Packets, e.Seq = math.MaxUint64, 0
		for _, r := range p.Apply(nil, []bpf.Event{e}) {
			checkJSON(t, &r)
		}
	}
}

func TestZeroRecord(t *testing.T) {
	var r Record
	if got := string(r.AppendJSON(nil)); got != "{}" || r.Key() != "" || len(asMap(&r)) != 0 {
		t.Errorf("zero record: got %s, key %q", got, r.Key())
	}
}

func TestKey(t *testing.T) {
	p := newPolicy(t, Config{})
	e := fullEvent(t, bpf.KindDrop)
	e.Domain = "lab"
	noGroup := e
	noGroup.Group = bpf.Event{}.Group
	records := p.Apply(nil, []bpf.Event{e, noGroup})
	if got := []string{records[0].Key(), records[1].Key()}; !slices.Equal(got, []string{"233.252.0.1", "lab"}) {
		t.Errorf("keys: got %q", got)
	}
}

func TestAppendTime(t *testing.T) {
	for _, ns := range []int64{1, 999_999_999, 951_782_400e9, 1_709_164_800e9 + 7, 1_795_383_245_123_456_789, 4_107_542_400e9 - 1, math.MaxInt64} {
		want := time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000000Z07:00")
		if got := string(appendTime(nil, ns)); got != want {
			t.Errorf("%d: want %s, got %s", ns, want, got)
		}
	}
}

func TestEventIDs(t *testing.T) {
	e := fullEvent(t, bpf.KindDrop)
	seen := map[string]bool{}
	for _, from := range []Origin{{BootID: "a"}, {BootID: "b"}, {BootID: "a", Instance: "2"}} {
		p, err := NewPolicy(Config{}, from)
		if err != nil {
			t.Fatal(err)
		}
		for ring := range uint32(20) {
			for seq := range uint64(20) {
				e.Ring, e.Seq = ring, seq
				id := asMap(&p.Apply(nil, []bpf.Event{e})[0])["event_id"].(string)
				if seen[id] {
					t.Fatalf("event id %s is there twice", id)
				}
				seen[id] = true
			}
		}
	}
}

func FuzzString(f *testing.F) {
	for _, s := range []string{"", "p0", "\"\\\x00\u2028", "\xff\xfe", "<>&", "ü🪭"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		std, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var want, got string
		line := appendString(nil, s)
		if err := json.Unmarshal(std, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(line, &got); err != nil || want != got {
			t.Errorf("%q: want %q, got %q by %s: %v", s, want, got, line, err)
		}
		for _, c := range line {
			if c < 0x20 || c == 0x7f {
				t.Errorf("%q: control character in %q", s, line)
			}
		}
	})
}
