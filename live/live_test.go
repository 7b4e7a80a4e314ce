package live

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// rig is a running server on views that the test makes.
type rig struct {
	*Server
	t     *testing.T
	url   string
	looks atomic.Int64 // how often the agent was read
}

func newRig(t *testing.T, profile redact.Profile, view func() collector.View) *rig {
	t.Helper()
	return rigWith(t, redacttest.Policy(t, profile), view)
}

func rigWith(t *testing.T, p *redact.Policy, view func() collector.View) *rig {
	t.Helper()
	m, err := p.NewMetrics(redact.MetricsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t}
	r.Server = New(Deps{
		View: func() (collector.View, error) {
			r.looks.Add(1)
			return view(), nil
		},
		Policy: p, Metrics: m, Version: "test", Reasons: []Reason{{"ttl", "packet", "meaning", "remedy"}},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

// stream is an open stream of frames.
type stream struct {
	t     *testing.T
	lines *bufio.Reader
}

func (r *rig) follow() *stream {
	r.t.Helper()
	resp, err := http.Get(r.url + "/stream")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		r.t.Fatalf("stream: %s, %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	s := &stream{r.t, bufio.NewReaderSize(resp.Body, 1<<20)}
	if line, err := s.lines.ReadString('\n'); err != nil || line != "retry: 1000\n" {
		r.t.Fatalf("the stream begins with %q (%v)", line, err)
	}
	if _, err := s.lines.ReadString('\n'); err != nil {
		r.t.Fatal(err)
	}
	return s
}

// next returns a frame and its name.
func (s *stream) next() (name, data string) {
	s.t.Helper()
	for _, field := range []struct {
		prefix string
		into   *string
	}{{"event: ", &name}, {"data: ", &data}, {"", new(string)}} {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			s.t.Fatal(err)
		}
		var ok bool
		if *field.into, ok = strings.CutPrefix(strings.TrimSuffix(line, "\n"), field.prefix); !ok {
			s.t.Fatalf("line %q does not begin with %q", line, field.prefix)
		}
	}
	return name, data
}

func (s *stream) frame(wantName string) (f snapshot) {
	s.t.Helper()
	name, data := s.next()
	if name != wantName {
		s.t.Fatalf("frame is a %s, want a %s", name, wantName)
	}
	if err := json.Unmarshal([]byte(data), &f); err != nil {
		s.t.Fatal(err)
	}
	return f
}

func (r *rig) get(path string) (code int, body string) {
	r.t.Helper()
	resp, err := http.Get(r.url + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

func TestTheAgentIsReadOncePerTickForAll(t *testing.T) {
	r := newRig(t, redact.RevealProfile, func() collector.View { return collector.View{Time: time.Now()} })
	if code, body := r.get("/groups/1"); code != http.StatusServiceUnavailable || r.looks.Load() != 0 {
		t.Errorf("nobody looks: %d %s, the agent was read %d times", code, body, r.looks.Load())
	}
	var streams []*stream
	for range maxViewers {
		streams = append(streams, r.follow())
	}
	if code, body := r.get("/stream"); code != http.StatusServiceUnavailable || !strings.Contains(body, "16 viewers") {
		t.Errorf("one viewer too many: %d %s", code, body)
	}
	for _, s := range streams {
		if f := s.frame("snapshot"); f.Version != "test" || len(f.Reasons) != 1 {
			t.Errorf("snapshot: version %q, %d reasons", f.Version, len(f.Reasons))
		}
	}
	before := r.looks.Load()
	for range 2 {
		for _, s := range streams {
			s.frame("tick")
		}
	}
	if n := r.looks.Load() - before; n > 4 {
		t.Errorf("2 ticks for %d viewers read the agent %d times", maxViewers, n)
	}
	page := string(r.deps.Metrics.AppendPage(nil))
	for _, line := range []string{"fanlight_live_viewers 16\n", `fanlight_live_viewers_gone_total{outcome="refused"} 1`, `fanlight_live_requests_total{code="503"} 2`} {
		if !strings.Contains(page, line) {
			t.Errorf("the metrics page lacks %s", line)
		}
	}
}

// TestPolicyHidesOnThePage: no canary comes out, in the stream, in details or
// in changes.
func TestPolicyHidesOnThePage(t *testing.T) {
	g := collector.GroupView{
		Domain: redacttest.DomainCanary, VLAN: redacttest.VLANCanary.Outer(), InnerVLAN: redacttest.VLANCanary.Inner(), Group: redacttest.GroupCanary4,
		Sources: []collector.SourceView{{Source: redacttest.SourceCanary4, Packets: 1}, {Source: redacttest.SourceCanary6, Packets: 1}},
		Subscribers: []collector.SubscriberView{{
			Interface: redacttest.InterfaceCanary, Sources: []netip.Addr{redacttest.SourceCanary4}, Hosts: []netip.Addr{redacttest.HostCanary4, redacttest.HostCanary6},
		}},
		Drops:    []collector.DropView{{Reason: "ttl", Packets: 1}},
		Failures: []collector.FailureView{{Interface: redacttest.InterfaceCanary, Reason: "backlog_full", Packets: 1}},
	}
	for _, test := range []struct {
		profile redact.Profile
		leaks   func([]byte) []string
		blind   bool
	}{
		{redact.StrictProfile, redacttest.StrictLeaks, false}, {redact.DefaultProfile, redacttest.Leaks, false}, {redact.RevealProfile, redacttest.Leaks, true},
	} {
		t.Run(string(test.profile), func(t *testing.T) {
			r := newRig(t, test.profile, func() collector.View { return collector.View{Time: time.Now(), Groups: []collector.GroupView{g}} })
			sink, err := r.Sink(r.deps.Policy)
			if err != nil {
				t.Fatal(err)
			}
			if err := sink.Sink.Export(t.Context(), sink.Policy.Apply(nil, redacttest.StrictCanaryEvents())); err != nil {
				t.Fatal(err)
			}
			s := r.follow()
			_, out := s.next()
			if strings.Count(out, `"kind":"membership"`) < 3 {
				t.Errorf("the snapshot lacks changes: %s", out)
			}
			code, body := r.get("/groups/1")
			if code != http.StatusOK || strings.Count(body, `"packets":1`) != 4 {
				t.Errorf("details: %d %s", code, body)
			}
			if found := test.leaks([]byte(out + body)); (len(found) > 0) != test.blind {
				t.Errorf("leaks %v", found)
			}
		})
	}
}

// TestANewKeyBeginsAnew: after a rotation nothing is shown by its old name.
func TestANewKeyBeginsAnew(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	first, err := redact.GenerateKey(keys)
	if err != nil {
		t.Fatal(err)
	}
	p, err := redact.NewPolicy(redact.Config{Profile: redact.StrictProfile, KeyFile: keys}, redact.Origin{Node: "n", BootID: "b"})
	if err != nil {
		t.Fatal(err)
	}
	r := rigWith(t, p, func() collector.View {
		return collector.View{Time: time.Now(), Groups: []collector.GroupView{{Domain: "lab", Group: redacttest.GroupCanary4}}}
	})
	sink, err := r.Sink(p)
	if err != nil {
		t.Fatal(err)
	}
	tell := func() {
		t.Helper()
		if err := sink.Sink.Export(t.Context(), sink.Policy.Apply(nil, redacttest.Events())); err != nil {
			t.Fatal(err)
		}
	}
	tell()
	s := r.follow()
	if _, data := s.next(); strings.Count(data, "group_"+first.Active()+"_") < 5 {
		t.Errorf("the snapshot lacks names by the first key: %s", data)
	}
	second, err := redact.RotateKey(keys)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.ReloadKeys(); err != nil {
		t.Fatal(err)
	}
	tell()
	name, data := s.next()
	for name == "tick" && !strings.Contains(data, second.Active()) {
		name, data = s.next()
	}
	if name != "snapshot" || strings.Contains(data, first.Active()) || !strings.Contains(data, "group_"+second.Active()+"_") {
		t.Errorf("after the rotation a %s: %s", name, data)
	}
}

func TestASlowViewerIsDropped(t *testing.T) {
	r := newRig(t, redact.RevealProfile, func() collector.View { return collector.View{Time: time.Now()} })
	h := newHub(r.counts)
	slow, _ := h.join()
	quick, _ := h.join()
	for range maxBehind + 1 {
		h.send([]byte("tick"), []byte("snapshot"))
		<-quick.frames
	}
	for range maxBehind {
		<-slow.frames
	}
	if _, more := <-slow.frames; more {
		t.Error("a viewer that is behind still gets frames")
	}
	if some, fresh := h.waiting(); !some || fresh || !h.viewers[quick] {
		t.Error("the quick viewer was dropped, too")
	}
}

func TestWhoMayAsk(t *testing.T) {
	r := newRig(t, redact.RevealProfile, func() collector.View { return collector.View{} })
	for _, test := range []struct {
		host, site string
		want       int
	}{
		{"127.0.0.1:9465", "", 200},
		{"localhost", "none", 200},
		{"[::1]:8000", "same-origin", 200},
		{"127.9.9.9:1", "", 200},
		{"localhost:9465", "cross-site", 403},
		{"localhost:9465", "same-site", 403},
		{"evil.example:9465", "", 421},
		{"localhost.evil.example", "", 421},
		{"192.0.2.1:9465", "", 421},
		{"", "", 421},
	} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Host = test.host
		if test.site != "" {
			req.Header.Set("Sec-Fetch-Site", test.site)
		}
		w := httptest.NewRecorder()
		r.Handler().ServeHTTP(w, req)
		if w.Code != test.want {
			t.Errorf("Host %q, Sec-Fetch-Site %q: %d, want %d", test.host, test.site, w.Code, test.want)
		}
		if h := w.Header(); !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'self';") || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("headers %v", h)
		}
	}
	if resp, err := http.Head(r.url + "/stream"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("HEAD /stream: %v, %v", resp, err)
	}
	for path, want := range map[string]int{"/groups/x": 503, "/nothing": 404, "/../config.go": 404} {
		if code, _ := r.get(path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
}

func FuzzNamesThisHost(f *testing.F) {
	for _, host := range []string{"localhost", "127.0.0.1:9465", "[::1]:1", "::1", "[::ffff:127.0.0.1]", "evil.example", "localhost:", "[", "[]:", "127.0.0.1.evil.example"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if !namesThisHost(host) {
			return
		}
		u, err := url.Parse("http://" + host + "/")
		if err != nil {
			return // no request has such a host
		}
		if a, err := netip.ParseAddr(u.Hostname()); u.Hostname() != "localhost" && (err != nil || !a.IsLoopback()) && host[0] != ':' {
			t.Errorf("%q names this host, and a browser takes it for %q", host, u.Hostname())
		}
	})
}

func TestConfig(t *testing.T) {
	for listen, want := range map[string]string{
		"": "", "127.0.0.1:9465": "", "[::1]:0": "", "127.1.2.3:80": "", "[::ffff:127.0.0.1]:80": "",
		"0.0.0.0:9465":   "ssh -L 9465:127.0.0.1:9465 HOST",
		"[::]:9465":      "can be reached from other hosts",
		"192.0.2.1:9465": "can be reached from other hosts",
		"localhost:9465": "want a loopback address and a port",
		":9465":          "want a loopback address and a port",
		"127.0.0.1":      "want a loopback address and a port",
	} {
		err := Config{Listen: listen}.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("listen %q: %v, want %q", listen, err, want)
		}
	}
}
