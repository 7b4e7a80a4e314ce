package live

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// pipes is a listener whose connections hold nothing back: what is not read
// blocks the writer.
type pipes struct {
	dialled chan net.Conn
	closed  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialled:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// TestAViewerThatDoesNotReadIsCounted: its place is free again after a while.
func TestAViewerThatDoesNotReadIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := redacttest.Policy(t, redact.RevealProfile)
		m, err := p.NewMetrics(redact.MetricsConfig{})
		if err != nil {
			t.Fatal(err)
		}
		s := New(Deps{Policy: p, Metrics: m, View: func() (collector.View, error) { return collector.View{Time: time.Now()}, nil }})
		l := &pipes{make(chan net.Conn), make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx, l) }()
		theirs, ours := net.Pipe()
		l.dialled <- theirs
		if _, err := io.WriteString(ours, "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := ours.Read(make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
		wants := func(line string) {
			t.Helper()
			if page := string(m.AppendPage(nil)); !strings.Contains(page, line+"\n") {
				t.Errorf("the metrics page lacks %s", line)
			}
		}
		synctest.Wait()
		wants("fanlight_live_viewers 1")
		time.Sleep(time.Minute)
		wants("fanlight_live_viewers 0")
		wants(`fanlight_live_viewers_gone_total{outcome="slow"} 1`)
		ours.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
