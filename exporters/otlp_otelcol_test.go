package exporters

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
)

func openOTLP(t testing.TB, conn OTLPConnection) *otlp {
	t.Helper()
	e, err := (&OTLPConfig{Type: "otlp", OTLPConnection: conn}).Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(context.Background()) })
	return e.(*otlp)
}

// A real collector understands every record, by every way, as it was meant.
func TestOtelcolLogs(t *testing.T) {
	c := newOtelcol(t)
	policy := redacttest.Policy(t, redact.DefaultProfile)
	var want []byte
	for i, way := range []struct {
		protocol, compression string
		secure                bool
	}{
		{"grpc", "gzip", false}, {"http", "gzip", false}, {"grpc", "none", true}, {"http", "none", true},
		{"grpc", "zstd", false}, {"http", "zstd", false}, {"grpc", "gzip", true}, {"http", "gzip", true},
	} {
		events := redacttest.Events()
		if i%2 == 0 {
			events = redacttest.OddEvents()
		}
		batch := policy.Apply(nil, append(events, redacttest.Busy(1000*i, 500)...))
		conn := c.connection(way.protocol, way.secure)
		conn.Compression, conn.MaxRequestBytes = way.compression, minOTLPRequest
		e := openOTLP(t, conn)
		if err := e.Export(t.Context(), batch); err != nil {
			t.Fatalf("%+v: %v", way, err)
		}
		for i := range batch {
			want = appendOracle(want, &batch[i])
		}
		if e.link.connects.Load() != 1 || e.split.Load() == 0 {
			t.Errorf("%+v: %d connections, %d splits", way, e.link.connects.Load(), e.split.Load())
		}
	}
	var got []byte
	c.await("write all records", func() bool {
		got = c.logs()
		return len(got) >= len(want)
	})
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("what the collector has understood (-want +got):\n%s", d[:min(len(d), 4000)])
	}
}

// logs returns the log records in the collector's file, as appendOracle writes
// them.
func (c *otelcol) logs() (all []byte) {
	var request collogs.ExportLogsServiceRequest
	c.read("logs.json", &request, func() { all = appendDecoded(c.t, all, &request) })
	return all
}

func (c *otelcol) eventIDs() map[string]int {
	ids := map[string]int{}
	var request collogs.ExportLogsServiceRequest
	c.read("logs.json", &request, func() {
		for _, rl := range request.ResourceLogs {
			for _, sl := range rl.ScopeLogs {
				for _, l := range sl.LogRecords {
					ids[otlpEventID(l)]++
				}
			}
		}
	})
	return ids
}

func otlpEventID(l *logs.LogRecord) string {
	for _, a := range l.Attributes {
		if a.Key == "fanlight.event_id" {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

// A collector that is killed and started again gets everything: Export says
// what to bring again.
func TestOtelcolRestart(t *testing.T) {
	for _, protocol := range []string{"grpc", "http"} {
		t.Run(protocol, func(t *testing.T) {
			c := newOtelcol(t)
			e := openOTLP(t, c.connection(protocol, false))
			sent := 0
			export := func() error {
				err := e.Export(t.Context(), redacttest.Many(t, sent, 100))
				if err == nil {
					sent += 100
				}
				return err
			}
			for range 3 {
				for range 3 {
					if err := export(); err != nil {
						t.Fatal(err)
					}
				}
				c.await("write", func() bool { return len(c.eventIDs()) == sent })
				c.stop(syscall.SIGKILL)
				err := export()
				if err == nil || IsPermanent(err) {
					t.Fatalf("error without a collector: %v", err)
				}
				if strings.Contains(err.Error(), "127.0.0.1") {
					t.Errorf("the error names an address: %v", err)
				}
				c.start(needOtelcol(t))
				c.await("take records again", func() bool { return export() == nil })
			}
			c.await("write", func() bool { return len(c.eventIDs()) == sent })
			if e.link.connects.Load() < 4 {
				t.Errorf("connections: want 4 or more, got %d", e.link.connects.Load())
			}
		})
	}
}

// Without the right certificates and token nothing is delivered, and the error
// tells why without the peer's words.
func TestOtelcolRefuses(t *testing.T) {
	c := newOtelcol(t)
	wrong := t.TempDir() + "/wrong"
	writeFile(t, wrong, "Bearer wrong", 0o600)
	for _, protocol := range []string{"grpc", "http"} {
		for what, change := range map[string]func(*OTLPConnection){
			"unknown authority": func(conn *OTLPConnection) { conn.TLS.CAFile = "" },
			"another name":      func(conn *OTLPConnection) { conn.TLS.ServerName = "other.example.com" },
			"status 401":        func(conn *OTLPConnection) { conn.HeadersFiles = map[string]string{"Authorization": wrong} },
			"no certificate":    func(conn *OTLPConnection) { conn.TLS.CertFile, conn.TLS.KeyFile = "", "" },
		} {
			t.Run(protocol+", "+what, func(t *testing.T) {
				conn := c.connection(protocol, true)
				change(&conn)
				batch := redacttest.Records(t)
				err := openOTLP(t, conn).Export(t.Context(), batch)
				if err == nil {
					t.Fatal("no error")
				}
				if protocol == "grpc" {
					what = strings.Replace(what, "status 401", "status Unauthenticated", 1)
				}
				if what == "no certificate" {
					what = "send by OTLP" // with TLS 1.3 the alert comes after the handshake, or the connection's end is seen first
				}
				if !strings.Contains(err.Error(), what) {
					t.Errorf("error: want %q in it, got %v", what, err)
				}
				var lost *Undelivered
				if errors.As(err, &lost) && len(lost.Retry) < len(batch) {
					t.Errorf("what an operator can mend cost records: %v", err)
				}
			})
		}
	}
	if got := c.logs(); len(got) > 0 {
		t.Errorf("delivered all the same: %s", fmt.Sprint(len(got)))
	}
}
