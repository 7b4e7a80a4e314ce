package lab

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each changed, missing or added byte of a payload is found.
func TestPayloadVerification(t *testing.T) {
	for _, size := range []int{MinPayload, MinPayload + 1, 64, 1472} {
		b := Payload(0x10002, 77, size)
		if stream, seq, ok := parsePayload(b); stream != 0x10002 || seq != 77 || !ok {
			t.Fatalf("size %d: parsed %#x, %d, %t", size, stream, seq, ok)
		}
		for i := range b {
			b[i] ^= 0x10
			if _, _, ok := parsePayload(b); ok {
				t.Errorf("size %d: change of byte %d not found", size, i)
			}
			b[i] ^= 0x10
		}
		if _, _, ok := parsePayload(b[:size-1]); ok {
			t.Errorf("size %d: missing byte not found", size)
		}
		if _, _, ok := parsePayload(append(b, 0)); ok {
			t.Errorf("size %d: added byte not found", size)
		}
	}
}

func TestTracker(t *testing.T) {
	tests := []struct {
		name string
		seqs []uint64
		want StreamReport
	}{
		{"in order", []uint64{0, 1, 2}, StreamReport{Received: 3, Distinct: 3, Last: 2}},
		{"late start", []uint64{70, 71}, StreamReport{Received: 2, Distinct: 2, First: 70, Last: 71}},
		{"gap", []uint64{0, 1, 130}, StreamReport{Received: 3, Distinct: 3, Missing: 128, Last: 130}},
		{"duplicate", []uint64{5, 5, 6, 5}, StreamReport{Received: 4, Distinct: 2, Duplicated: 2, First: 5, Last: 6}},
		{"reordered", []uint64{1, 0, 3, 2}, StreamReport{Received: 4, Distinct: 4, Reordered: 2, Last: 3}},
		{"beyond bounds", []uint64{1, maxTracked}, StreamReport{Received: 1, Distinct: 1, First: 1, Last: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tr tracker
			for _, seq := range tt.seqs {
				if got, want := tr.add(seq), seq < maxTracked; got != want {
					t.Errorf("add(%d) = %t, want %t", seq, got, want)
				}
			}
			if diff := cmp.Diff(tt.want, tr.report); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

// The journal names what was made and not removed, and nothing that could be a
// path elsewhere.
func TestJournal(t *testing.T) {
	tests := []struct {
		name, journal string
		want          []string
	}{
		{"empty", "", nil},
		{"made", "pid 7\n+n-switch\n+n-a\n", []string{"n-switch", "n-a"}},
		{"removed", "+n-a\n+n-b\n-n-a\n", []string{"n-b"}},
		{"made again", "+n-a\n-n-a\n+n-a\n", []string{"n-a"}},
		{"cut short", "+n-a\n+", []string{"n-a"}},
		{"hostile", "+../../etc/passwd\n+/etc\n+..\n+n-a\n", []string{"n-a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := aliveIn(strings.NewReader(tt.journal))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, append([]string(nil), got...)); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}
