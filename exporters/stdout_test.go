package exporters

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// A reader that stalls holds Export no longer than its context; when it reads
// again, each line is whole and each record there.
func TestStdoutStalledReader(t *testing.T) {
	r, w := newPipe(t)
	s := &stdout{enc: native{}, fd: int(w.Fd()), piece: pipeBytes}
	const records = 400 // more than a pipe holds
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Export(ctx, redacttest.Many(t, 0, records)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error: want %v, got %v", context.DeadlineExceeded, err)
	}
	read := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(r)
		read <- all
	}()
	mustExport(t, s, redacttest.Many(t, 0, records))
	w.Close()
	got := seqs(t, <-read)
	for i := range records {
		if got[i] < 1 || got[i] > 2 {
			t.Errorf("record %d: want 1 or 2, got %d", i, got[i])
		}
	}
}

// A line longer than a piece is torn by the stall, and completed first thing
// afterwards.
func TestStdoutCompletesATornLine(t *testing.T) {
	r, w := newPipe(t)
	s := &stdout{enc: native{}, fd: int(w.Fd()), piece: pipeBytes}
	events := redacttest.CanaryEvents()[5:6]
	events[0].Sources = slices.Repeat(events[0].Sources, 2000)
	long := redacttest.Policy(t, redact.DefaultProfile).Apply(nil, events)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Export(ctx, long); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error: want %v, got %v", context.DeadlineExceeded, err)
	}
	read := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(r)
		read <- all
	}()
	short := redacttest.Many(t, 0, 1)
	mustExport(t, s, short)
	w.Close()
	if want, got := string(appendLines(nil, native{}, append(long, short...))), string(<-read); want != got {
		t.Errorf("want %d bytes in 2 lines, got %d in %d", len(want), len(got), strings.Count(got, "\n"))
	}
}

func TestTornRest(t *testing.T) {
	tests := []struct {
		n    int
		want string
	}{
		{0, ""}, {1, "b\n"}, {2, "\n"}, {3, ""}, {4, "d\n"}, {6, ""},
	}
	for _, tt := range tests {
		if got := string(tornRest([]byte("ab\ncd\n"), tt.n)); got != tt.want {
			t.Errorf("after %d bytes: want %q, got %q", tt.n, tt.want, got)
		}
	}
}

func TestPieceOf(t *testing.T) {
	tests := []struct{ lines, want string }{
		{"", ""}, {"ab\n", "ab\n"}, {"a\nb\nc\n", "a\nb\n"}, {"abcdef\n", "abcde"}, {"abcd\ne\n", "abcd\n"},
	}
	for _, tt := range tests {
		if got := string(pieceOf([]byte(tt.lines), 5)); got != tt.want {
			t.Errorf("%q: want %q, got %q", tt.lines, tt.want, got)
		}
	}
}
