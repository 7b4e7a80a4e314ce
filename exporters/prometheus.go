package exporters

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	contentType    = "text/plain; version=0.0.4; charset=utf-8"
	maxScrapes     = 3
	scrapeWait     = 2 * time.Second // for a place among them
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	writeTimeout   = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
	shutdownWait   = 3 * time.Second
)

// Prometheus serves metrics in the text format 0.0.4: the families of
// redact.Metrics, then what a client_golang Gatherer has, as far as it is
// redaction knows them: Go's and the process's own, and those of its table.
//
// A page is made whole before a byte of it is sent, so a slow client holds a
// buffer and one of three places, for ten seconds at most. Who waits longer than
// two seconds for a place gets status 503.
type Prometheus struct {
	metrics *redact.Metrics
	self    *selfPage
	scrapes map[int]*redact.Series // by HTTP status
	slots   chan *slot
	others  map[string]http.Handler
}

// slot is a place for one scrape, with the memory that it reuses.
type slot struct {
	page   []byte
	packed buffer
	zip    *gzip.Writer
}

// NewPrometheus returns the handler. The gatherer may be nil.
func NewPrometheus(m *redact.Metrics, g prometheus.Gatherer) *Prometheus {
	p := &Prometheus{
		metrics: m,
		self:    newSelfPage(m, g),
		scrapes: make(map[int]*redact.Series),
		slots:   make(chan *slot, maxScrapes),
		others:  map[string]http.Handler{},
	}
	for _, code := range []int{http.StatusOK, http.StatusMethodNotAllowed, http.StatusServiceUnavailable} {
		p.scrapes[code] = m.Series(redact.Scrapes, redact.Name(strconv.Itoa(code)))
	}
	for range maxScrapes {
		p.slots <- &slot{}
	}
	return p
}

// ServeHTTP answers GET with the page and HEAD with its headers.
func (p *Prometheus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.scrapes[p.serve(w, r)].Add(1)
}

func (p *Prometheus) serve(w http.ResponseWriter, r *http.Request) (code int) {
	switch r.Method {
	case http.MethodGet:
	case http.MethodHead:
		w.Header().Set("Content-Type", contentType)
		return http.StatusOK
	default:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return http.StatusMethodNotAllowed
	}
	s := p.acquire(r.Context())
	if s == nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many scrapes at once", http.StatusServiceUnavailable)
		return http.StatusServiceUnavailable
	}
	defer func() { p.slots <- s }()

	if cap(s.page) > 1<<20 && cap(s.page) > 4*len(s.page) {
		s.page, s.packed = make([]byte, 0, 2*len(s.page)), nil // pages became short
	}
	s.page = p.metrics.AppendPage(s.page[:0])
	s.page = p.self.append(s.page)
	body := s.page
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Vary", "Accept-Encoding")
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		body = s.gzip()
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body) // the client's failure to read is the client's to notice
	return http.StatusOK
}

// acquire waits for a place, for a while.
func (p *Prometheus) acquire(ctx context.Context) *slot {
	select {
	case s := <-p.slots:
		return s
	default:
	}
	patience := time.NewTimer(scrapeWait)
	defer patience.Stop()
	select {
	case s := <-p.slots:
		return s
	case <-patience.C:
		return nil
	case <-ctx.Done():
		return nil
	}
}

func (s *slot) gzip() []byte {
	s.packed = s.packed[:0]
	if s.zip == nil {
		s.zip, _ = gzip.NewWriterLevel(&s.packed, gzip.BestSpeed) // the level is valid
	} else {
		s.zip.Reset(&s.packed)
	}
	s.zip.Write(s.page) // a buffer takes everything
	s.zip.Close()
	return s.packed
}

// buffer is a byte slice to write to.
type buffer []byte

func (b *buffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// acceptsGzip reads an Accept-Encoding header; gzip;q=0 refuses it.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(part, ";")
		if c := strings.TrimSpace(coding); !strings.EqualFold(c, "gzip") {
			continue
		}
		q, found := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		if !found {
			return true
		}
		weight, err := strconv.ParseFloat(q, 64)
		return err == nil && weight > 0
	}
	return false
}

// Handle adds a page beside /metrics, by a pattern of [http.ServeMux]. It is
// called before Serve.
func (p *Prometheus) Handle(pattern string, h http.Handler) { p.others[pattern] = h }

// Serve answers at /metrics on the listener until ctx is done, and closes the
// listener.
func (p *Prometheus) Serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("/metrics", p)
	for pattern, h := range p.others {
		mux.Handle(pattern, h)
	}
	srv := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // its lines hold clients' addresses
	}
	done := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), shutdownWait)
		defer cancel()
		err := srv.Shutdown(grace)
		if errors.Is(err, context.DeadlineExceeded) {
			err = srv.Close() // what still hangs on a slow client
		}
		done <- err
	})
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve metrics: %w", err)
	}
	return <-done
}
