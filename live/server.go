// Package live serves the live page: groups as fans from source to subscribers,
// rates, losses and a timeline, for browsers on this host.
//
// Once per tick, and only while somebody looks, it reads the agent's counters,
// redacts names by the agent's policy, and sends what changed to all viewers:
// more viewers cost only the bytes that they read. A viewer that does not read
// is dropped, and counted.
package live

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
)

// Deps are what a Server works with.
type Deps struct {
	// View reads the agent's tables and counters.
	View func() (collector.View, error)
	// Policy makes the names that the page shows.
	Policy  *redact.Policy
	Metrics *redact.Metrics
	Reasons []Reason
	Version string
}

// Reason is what people should know of a drop reason.
type Reason struct {
	Reason  string `json:"reason"`
	Lost    string `json:"lost"` // packet or copy
	Meaning string `json:"meaning"`
	Remedy  string `json:"remedy"`
}

// Server answers browsers. New is inert; Run does the work.
type Server struct {
	deps     Deps
	hub      *hub
	timeline *timeline
	counts   *counts
	latest   atomic.Pointer[moment] // nil: nobody looks
}

// New returns a server that does nothing yet.
func New(deps Deps) *Server {
	c := newCounts(deps.Metrics)
	return &Server{deps: deps, hub: newHub(c), timeline: newTimeline(deps.Policy), counts: c}
}

//go:embed page
var embedded embed.FS

const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 10 * time.Second // of what is no stream, and of each frame of one
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
)

// Run serves on the listener until ctx is done, and closes it.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // its lines hold clients' addresses
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ticking := make(chan struct{})
	go func() {
		defer close(ticking)
		s.tick(ctx)
	}()
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	err := srv.Serve(l)
	cancel()
	<-ticking
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the live page: %w", err)
	}
	return nil
}

// Handler returns what Run serves; without Run, streams stay empty.
func (s *Server) Handler() http.Handler {
	files, err := fs.Sub(embedded, "page")
	if err != nil {
		panic(err) // the compiler embedded it
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /stream", s.stream)
	mux.HandleFunc("GET /groups/{id}", s.group)
	return s.counts.count(guard(mux))
}

// stream sends frames as server-sent events: a snapshot, then what changes.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		return // it would follow what it does not get
	}
	v, ok := s.hub.join()
	if !ok {
		w.Header().Set("Retry-After", "5")
		fail(w, http.StatusServiceUnavailable, fmt.Sprintf("%d viewers are the most at once", maxViewers))
		return
	}
	outcome := endedByViewer
	defer func() { s.hub.leave(v, outcome) }()
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Time{}) != nil { // or it would end the stream
		return
	}
	w.WriteHeader(http.StatusOK)
	if _, err := w.Write([]byte("retry: 1000\n\n")); err != nil || control.Flush() != nil { // ms until browsers try again
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case frame, more := <-v.frames:
			if !more {
				outcome = endedAsSlow
				return
			}
			if control.SetWriteDeadline(time.Now().Add(writeTimeout)) != nil {
				return
			}
			_, err := w.Write(frame)
			if err == nil {
				err = control.Flush()
			}
			if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
				outcome = endedAsSlow
			}
			if err != nil {
				return
			}
		}
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// group answers with the details of one group of the last tick.
func (s *Server) group(w http.ResponseWriter, r *http.Request) {
	m := s.latest.Load()
	if m == nil {
		fail(w, http.StatusServiceUnavailable, "nobody follows the stream, so nothing is read")
		return
	}
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		fail(w, http.StatusBadRequest, "want the number of a group, as in the stream")
		return
	}
	body, ok := m.detail(id, s.deps.Policy)
	if !ok {
		fail(w, http.StatusNotFound, "no such group any more")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body) // the viewer's failure to read is the viewer's to notice
}

func fail(w http.ResponseWriter, code int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]string{"error": why})
}
