package exporters

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// peer is the other end of an exporter: each type in the registry has one.
type peer struct {
	config    Config
	delivered func() []byte // all that arrived since the last heal
	beside    func() []byte // and what came with it, apart from the lines; may be nil
	fail      func()        // makes deliveries fail
	heal      func()        // and work again
	// encoded is what delivered returns for records; nil: native lines.
	encoded func([]redact.Record) []byte
}

// lines is what the peer should have got of a batch.
func (p peer) lines(batch []redact.Record) []byte {
	if p.encoded != nil {
		return p.encoded(batch)
	}
	return appendLines(nil, native{}, batch)
}

var peers = map[string]func(t *testing.T) peer{
	"file":   filePeer,
	"kafka":  kafkaPeer,
	"otlp":   otlpPeer,
	"stdout": stdoutPeer,
	"syslog": syslogPeer,
}

func filePeer(t *testing.T) peer {
	dir := filepath.Join(t.TempDir(), "log")
	path := filepath.Join(dir, "events.jsonl")
	heal := func() {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	heal()
	return peer{
		config: &FileConfig{Type: "file", Path: path},
		delivered: func() []byte {
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return got
		},
		fail: func() {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		},
		heal: heal,
	}
}

// stdoutPeer puts a pipe in the place of the standard output.
func stdoutPeer(t *testing.T) peer {
	r, w := newPipe(t)
	old := os.Stdout
	os.Stdout = w
	t.Cleanup(func() { os.Stdout = old })
	return peer{
		config:    &StdoutConfig{Type: "stdout"},
		delivered: func() []byte { return drain(t, r) },
		fail:      func() { r.Close() },
		heal: func() {
			var fresh *os.File
			r, fresh = newPipe(t)
			if err := unix.Dup3(int(fresh.Fd()), int(w.Fd()), 0); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// drain reads what is in the pipe already.
func drain(t *testing.T, r *os.File) (got []byte) {
	conn, err := r.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = conn.Control(func(fd uintptr) {
		var block [4096]byte
		for {
			n, err := unix.Read(int(fd), block[:]) // os.Pipe made it non-blocking
			if n <= 0 || err != nil {
				return
			}
			got = append(got, block[:n]...)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func newPipe(t *testing.T) (r, w *os.File) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// eachExporter runs a test over every registered type.
func eachExporter(t *testing.T, test func(t *testing.T, p peer, e Exporter)) {
	for _, typ := range Types() {
		t.Run(typ, func(t *testing.T) {
			newPeer, ok := peers[typ]
			if !ok {
				t.Fatalf("exporter %s has no peer: add it to peers, so that the conformance tests cover it", typ)
			}
			p := newPeer(t)
			if err := p.config.Validate(); err != nil {
				t.Fatal(err)
			}
			e, err := p.config.Open()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.Close(context.Background()) })
			test(t, p, e)
		})
	}
}

func mustExport(t *testing.T, e Exporter, batch []redact.Record) {
	t.Helper()
	if err := e.Export(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

func wantDelivered(t *testing.T, p peer, want []byte) {
	t.Helper()
	if d := cmp.Diff(string(want), string(p.delivered())); d != "" {
		t.Errorf("delivered (-want +got):\n%s", d)
	}
}

func TestConformanceDelivers(t *testing.T) {
	eachExporter(t, func(t *testing.T, p peer, e Exporter) {
		batch := redacttest.Records(t)
		mustExport(t, e, batch)
		wantDelivered(t, p, p.lines(batch))
	})
}

func TestConformanceEmptyBatch(t *testing.T) {
	eachExporter(t, func(t *testing.T, p peer, e Exporter) {
		mustExport(t, e, nil)
		mustExport(t, e, []redact.Record{})
		wantDelivered(t, p, nil)
	})
}

func TestConformanceCancelledContext(t *testing.T) {
	eachExporter(t, func(t *testing.T, p peer, e Exporter) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := e.Export(ctx, redacttest.Records(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("error: want %v, got %v", context.Canceled, err)
		}
		wantDelivered(t, p, nil)
	})
}

func TestConformanceCloseTwice(t *testing.T) {
	eachExporter(t, func(t *testing.T, _ peer, e Exporter) {
		for range 2 {
			if err := e.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if err := e.Export(t.Context(), redacttest.Records(t)); !errors.Is(err, ErrClosed) {
			t.Errorf("export after close: want %v, got %v", ErrClosed, err)
		}
	})
}

func TestConformanceFailingDestination(t *testing.T) {
	eachExporter(t, func(t *testing.T, p peer, e Exporter) {
		batch := redacttest.Records(t)
		p.fail()
		for range 2 {
			err := e.Export(t.Context(), batch)
			if err == nil {
				t.Fatal("no error although the destination fails")
			}
			if IsPermanent(err) {
				t.Errorf("a destination may recover, but the error is permanent: %v", err)
			}
		}
		p.heal()
		mustExport(t, e, batch)
		wantDelivered(t, p, p.lines(batch))
	})
}

func TestConformanceBatchIsNotRetained(t *testing.T) {
	eachExporter(t, func(t *testing.T, p peer, e Exporter) {
		policy := redacttest.Policy(t, redact.DefaultProfile)
		var want []byte
		var batch []redact.Record
		for range 3 {
			events := redacttest.Events()
			for i := range events {
				batch = policy.Apply(batch[:0], events[i:i+1])
				want = append(want, p.lines(batch)...)
				mustExport(t, e, batch)
			}
		}
		policy.Apply(batch[:0], redacttest.CanaryEvents())
		wantDelivered(t, p, want)
	})
}

func TestCanaryThroughEveryExporter(t *testing.T) {
	for _, profile := range canaryProfiles {
		t.Run(string(profile), func(t *testing.T) {
			eachExporter(t, func(t *testing.T, p peer, e Exporter) {
				events := redacttest.CanaryEvents()
				if profile == redact.StrictProfile {
					events = redacttest.StrictCanaryEvents()
				}
				batch := redacttest.Policy(t, profile).Apply(nil, events)
				if len(batch) != len(events) {
					t.Fatalf("records: want %d, got %d", len(events), len(batch))
				}
				mustExport(t, e, batch)
				out := p.delivered()
				if p.beside != nil {
					out = append(out, p.beside()...)
				}
				if len(out) == 0 {
					t.Fatal("nothing arrived to be searched")
				}
				wantLeaks(t, profile, out)
			})
		})
	}
}

// canaryProfiles are those whose promise a search for leaks can hold them to.
var canaryProfiles = []redact.Profile{redact.DefaultProfile, redact.StrictProfile, redact.RevealProfile}

// wantLeaks checks that nothing leaks that the profile hides: hosts by default,
// the whole network under strict. And that the search would find what leaks.
func wantLeaks(t *testing.T, profile redact.Profile, out []byte) {
	t.Helper()
	switch leaks := redacttest.Leaks(out); profile {
	case redact.DefaultProfile:
		if len(leaks) > 0 {
			t.Errorf("leaked: %v", leaks)
		}
	case redact.StrictProfile:
		if leaks := redacttest.StrictLeaks(out); len(leaks) > 0 {
			t.Errorf("leaked: %v", leaks)
		}
	case redact.RevealProfile:
		if len(leaks) == 0 {
			t.Error("the search for leaks finds nothing where all is revealed")
		}
	}
}

func TestRegistry(t *testing.T) {
	if d := cmp.Diff([]string{"file", "kafka", "otlp", "stdout", "syslog"}, Types()); d != "" {
		t.Errorf("types (-want +got):\n%s", d)
	}
	_, err := NewConfig("flie")
	if want := `exporter type "flie": want one of file, kafka, otlp, stdout, syslog`; err == nil || err.Error() != want {
		t.Errorf("error: want %q, got %v", want, err)
	}
}

func TestPermanent(t *testing.T) {
	cause := errors.New("cause")
	if err := Permanent(cause); !IsPermanent(err) || !errors.Is(err, cause) {
		t.Errorf("Permanent(cause): permanent %t, is cause %t", IsPermanent(err), errors.Is(err, cause))
	}
	if IsPermanent(cause) || Permanent(nil) != nil {
		t.Error("an error that nobody marked is permanent, or nil is one")
	}
}
