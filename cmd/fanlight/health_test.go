package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/collector"
)

func TestHealthGivesEachReasonALine(t *testing.T) {
	for _, c := range []struct {
		reasons []string
		code    int
		body    string
	}{
		{nil, http.StatusOK, "ok\n"},
		{[]string{"stuck: events", "stuck: timers"}, http.StatusServiceUnavailable, "stuck: events\nstuck: timers\n"},
	} {
		w := httptest.NewRecorder()
		health(func() []string { return c.reasons }).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/livez", nil))
		if w.Code != c.code || w.Body.String() != c.body {
			t.Errorf("%q: status %d, %q; want %d, %q", c.reasons, w.Code, w.Body, c.code, c.body)
		}
	}
}

// TestReadyOnlyWhileForwarding: before the start has ended, and after the end
// has begun, the reason is named.
func TestReadyOnlyWhileForwarding(t *testing.T) {
	s := &service{agent: collector.New(collector.Config{}, collector.Deps{})}
	ctx, cancel := context.WithCancel(t.Context())
	if why := strings.Join(s.unready(ctx), "\n"); !strings.HasPrefix(why, "starting: ") {
		t.Errorf("at start: %q", why)
	}
	cancel()
	if why := strings.Join(s.unready(ctx), "\n"); !strings.HasPrefix(why, "stopping: ") {
		t.Errorf("at the end: %q", why)
	}
}
