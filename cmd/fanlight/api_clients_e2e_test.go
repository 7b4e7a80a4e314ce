package main

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// TestClientsDoNotHarmTheAgent: while a thousand clients read nothing, ask half,
// or ask without end, the agent loses no event and no packet, and others get
// their answers.
func TestClientsDoNotHarmTheAgent(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	a := startAgent(t, n, quickQuerier, "sample: 1")
	sub := listen(t, n.Host("sub"), lab.ListenConfig{Group: testGroup})
	a.joined(testGroup, 1)
	socket := filepath.Join(filepath.Dir(a.events), "api.sock")
	for i := range 1000 {
		c, err := net.DialTimeout("unix", socket, patience)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		io.WriteString(c, []string{
			"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET /v1/events?since=0s&follow=true HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET /v1/gro",
		}[i%3])
	}
	ctx, stop := context.WithCancel(t.Context())
	var greedy sync.WaitGroup
	for range 4 {
		greedy.Go(func() {
			for ctx.Err() == nil {
				call(ctx, "subscribers", "list", "-o", "json", "--socket", socket)
			}
		})
	}
	sent := make(chan uint64, 1)
	go func() {
		count, err := n.Host("pub").Send(ctx, lab.SendConfig{Group: testGroup, Port: 5000, Count: 4000, Rate: 2000})
		if err != nil {
			t.Error(err)
		}
		sent <- count
	}()
	slowest, answers := time.Duration(0), 0
	var count uint64
	for running := true; running; answers++ {
		began := time.Now()
		if out, err := callStatus(t, "--socket", socket); err != nil {
			t.Fatalf("status: %v\n%s", err, out)
		}
		slowest = max(slowest, time.Since(began))
		select {
		case count = <-sent:
			running = false
		default:
		}
	}
	stop()
	greedy.Wait()
	t.Logf("slowest of %d status answers: %v", answers, slowest)
	if slowest > 5*time.Second {
		t.Errorf("a status took %v", slowest)
	}
	wantAll(t, "sub", sub, count)
	page := a.wait("both equations close", func(s series) bool { return closes(s, "file", historySink) })
	if lost := page.sum("fanlight_sink_lost_total", `exporter="file"`); lost != 0 {
		t.Errorf("the file lost %v events", lost)
	}
	if made := page.sum("fanlight_sink_events_total", `exporter="file"`, `outcome="delivered"`); made < float64(count) {
		t.Errorf("%v events delivered of %d packets", made, count)
	}
	if streams := page.sum("fanlight_api_streams"); streams != maxStreams {
		t.Errorf("%v streams, want %d", streams, maxStreams)
	}
}
