package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
)

// apiHandler answers in the names that the policy of v lets out. Each route is
// described in openapi.yaml.
func apiHandler(v viewer) *router {
	mux := newRouter()
	mux.HandleFunc("GET /v1/status", v.status)
	mux.HandleFunc("GET /v1/groups", v.groups)
	mux.HandleFunc("GET /v1/groups/{group}", v.group)
	mux.HandleFunc("GET /v1/subscribers", v.subscribers)
	mux.HandleFunc("GET /v1/streams", v.streams)
	mux.HandleFunc("GET /v1/observed", v.observed)
	mux.HandleFunc("GET /v1/drops", v.drops)
	mux.HandleFunc("GET /v1/top", v.top)
	mux.HandleFunc("GET /v1/top/group", v.topOf)
	mux.HandleFunc("GET /v1/events", v.eventStream)
	mux.HandleFunc("GET /v1/openapi.yaml", openAPI)
	change := controller{v.agent, v.control}
	mux.HandleFunc("POST /v1/groups", change.addGroup)
	mux.HandleFunc("DELETE /v1/groups/{group}", change.deleteGroup)
	mux.HandleFunc("POST /v1/subscribers", change.addSubscriber)
	mux.HandleFunc("DELETE /v1/subscribers", change.deleteSubscriber)
	return mux
}

// router is a mux that knows its routes.
type router struct {
	*http.ServeMux
	patterns []string
}

func newRouter() *router { return &router{ServeMux: http.NewServeMux()} }

// HandleFunc adds a route.
func (m *router) HandleFunc(pattern string, h http.HandlerFunc) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.HandleFunc(pattern, h)
}

// ServeHTTP answers, or says what there is instead.
func (m *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := m.Handler(r); pattern != "" {
		m.ServeMux.ServeHTTP(w, r)
		return
	}
	if allowed := m.methods(r); len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		answer(w, http.StatusMethodNotAllowed, apiError{"method: this path takes " + strings.Join(allowed, ", ")})
		return
	}
	answer(w, http.StatusNotFound, apiError{"no such path; GET /v1/openapi.yaml lists them"})
}

// methods returns those that the request's path takes.
func (m *router) methods(r *http.Request) (allowed []string) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := *r
		other.Method = method
		if _, pattern := m.Handler(&other); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	return allowed
}

// maxAnswers bounds the answers that slow clients have not read yet, in bytes.
const maxAnswers = 64 << 20

// patience is how long a request waits for its turn.
const turnTimeout = 5 * time.Second

// handler is the whole API: who may ask, how much at once, and what is counted.
func (s *apiServer) handler(a *collector.Agent, p *redact.Policy) http.Handler {
	shared := &sharedAgent{Agent: a}
	v := viewer{agent: shared, policy: p, events: s.events, counts: s.counts, control: s.control}
	redacted := apiHandler(v)
	v.policy, v.revealed = s.events.revealing, true
	revealed := apiHandler(v)
	turns := semaphore.NewWeighted(int64(max(1, runtime.NumCPU()/2))) // the agent has work to do besides
	room := semaphore.NewWeighted(maxAnswers)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := requestPeer(r)
		defer who.conn.busy()()
		counted := &countedWriter{ResponseWriter: w, counts: s.counts}
		r.Body = http.MaxBytesReader(counted, r.Body, maxBody)
		routes := redacted
		switch reveal, err := wantsReveal(r); {
		case !who.local && (s.guard == nil || !s.guard.admits(r.Header.Get("Authorization"))):
			counted.Header().Set("WWW-Authenticate", "Bearer")
			answer(counted, http.StatusUnauthorized, apiError{"want the header Authorization: Bearer, with the token of api.token_file"})
			return
		case err != nil:
			answer(counted, http.StatusBadRequest, apiError{err.Error()})
			return
		case r.Method != http.MethodGet && r.Method != http.MethodHead && !who.local:
			answer(counted, http.StatusForbidden, apiError{"changes are taken at the unix socket only"})
			return
		case reveal && !who.root:
			answer(counted, http.StatusForbidden, apiError{"reveal: only root may see what policy hides, and only at the unix socket"})
			return
		case reveal:
			routes = revealed
		}
		if r.URL.Path == eventsPath {
			routes.ServeHTTP(counted, r)
			return
		}
		serveInTurn(counted, r, routes, turns, room)
	})
}

// wantsReveal reads the parameter that every path has.
func wantsReveal(r *http.Request) (bool, error) {
	switch value := r.URL.Query().Get("reveal"); value {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, fmt.Errorf("reveal: %q is none of true, false", value)
	}
}

// serveInTurn makes few answers at once, and sends them when they are made: a
// client that does not read keeps nobody from getting an answer.
func serveInTurn(w http.ResponseWriter, r *http.Request, routes http.Handler, turns, room *semaphore.Weighted) {
	ctx, cancel := context.WithTimeout(r.Context(), turnTimeout)
	defer cancel()
	if turns.Acquire(ctx, 1) != nil {
		tooMany(w, "too many requests at once")
		return
	}
	made := &madeAnswer{header: w.Header(), code: http.StatusOK}
	func() {
		defer turns.Release(1)
		routes.ServeHTTP(made, r)
	}()
	size := min(int64(made.body.Len()), maxAnswers)
	if room.Acquire(ctx, size) != nil {
		tooMany(w, "too many answers wait for slow readers")
		return
	}
	defer room.Release(size)
	w.WriteHeader(made.code)
	w.Write(made.body.Bytes()) // the client's failure to read is the client's to notice
}

func tooMany(w http.ResponseWriter, why string) {
	w.Header().Set("Retry-After", "1")
	answer(w, http.StatusServiceUnavailable, apiError{why + "; try again in a second"})
}

// madeAnswer holds an answer back.
type madeAnswer struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (m *madeAnswer) Header() http.Header         { return m.header }
func (m *madeAnswer) WriteHeader(code int)        { m.code = code }
func (m *madeAnswer) Write(b []byte) (int, error) { return m.body.Write(b) }

// countedWriter counts the answer by its status.
type countedWriter struct {
	http.ResponseWriter
	counts *apiCounts
	told   bool
}

// WriteHeader counts and passes on.
func (w *countedWriter) WriteHeader(code int) {
	if !w.told {
		w.told = true
		w.counts.answered(code)
	}
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap is for [http.ResponseController].
func (w *countedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// apiError is the answer to what can't be answered.
type apiError struct {
	Error string `json:"error"`
}

func answerError(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if errors.Is(err, collector.ErrNotRunning) {
		code = http.StatusServiceUnavailable
	}
	answer(w, code, apiError{err.Error()})
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(body) // the client's failure to read is the client's to notice
}
