package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
)

// defaultSocket is where a running agent answers.
const defaultSocket = "/run/fanlight/fanlight.sock"

// apiConfig is the local API: HTTP on a unix socket, for this command's own
// verbs and for scripts.
type apiConfig struct {
	// Socket is its path; "none" means none. Default: defaultSocket.
	Socket string `yaml:"socket"`
	// Group may use the socket besides the agent's own user.
	Group string `yaml:"group"`
}

func (c apiConfig) path() string {
	switch c.Socket {
	case "":
		return defaultSocket
	case "none":
		return ""
	}
	return c.Socket
}

// maxSocketPath is what struct sockaddr_un has room for.
const maxSocketPath = 107

func (c apiConfig) validate() error {
	if p := c.path(); len(p) > maxSocketPath {
		return fmt.Errorf("api.socket: %d bytes are more than %d", len(p), maxSocketPath)
	}
	if c.Group == "" {
		return nil
	}
	if _, err := user.LookupGroup(c.Group); err != nil {
		return fmt.Errorf("api.group: %w", err)
	}
	return nil
}

// listen makes the socket with mode 0600, or 0660 for a group. What a dead
// agent left is removed; a living one is an error.
func (c apiConfig) listen() (net.Listener, error) {
	path := c.path()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := removeDeadSocket(path); err != nil {
		return nil, err
	}
	old := syscall.Umask(0o177) // no moment in which others may connect
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil || c.Group == "" {
		return l, err
	}
	if err := c.shareWithGroup(path); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (c apiConfig) shareWithGroup(path string) error {
	g, err := user.LookupGroup(c.Group)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return err
	}
	return errors.Join(os.Chown(path, -1, gid), os.Chmod(path, 0o660))
}

// errSocketInUse: somebody answers on the socket.
var errSocketInUse = errors.New("another agent answers")

// removeDeadSockets removes the sockets that fit the pattern and that nobody
// answers on, and returns their paths.
func removeDeadSockets(pattern string) (removed []string, err error) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, path := range paths {
		switch err := removeDeadSocket(path); {
		case err == nil:
			removed = append(removed, path)
		case !errors.Is(err, errSocketInUse):
			errs = append(errs, err)
		}
	}
	return removed, errors.Join(errs...)
}

func removeDeadSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("%w at %s: give this one another api.socket", errSocketInUse, path)
	}
	return os.Remove(path)
}

// serveAPI answers requests until ctx is done. A slow client holds a connection
// and nothing else, and that not for long.
func serveAPI(ctx context.Context, l net.Listener, a *collector.Agent, p *redact.Policy) error {
	srv := &http.Server{
		Handler:           apiHandler(a, p),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve api: %w", err)
	}
	return nil
}

// apiHandler answers in the names that the policy lets out.
func apiHandler(a *collector.Agent, p *redact.Policy) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		status, err := a.Status()
		if err != nil {
			answerError(w, err)
			return
		}
		for i := range status.Domains {
			status.Domains[i].Name = p.Show(redact.Domain, status.Domains[i].Name)
		}
		answer(w, http.StatusOK, agentStatus{Version: version, Status: status})
	})
	v := viewer{a, p}
	mux.HandleFunc("GET /v1/groups", v.groups)
	mux.HandleFunc("GET /v1/subscribers", v.subscribers)
	mux.HandleFunc("GET /v1/observed", v.observed)
	return mux
}

// agentStatus is the answer to GET /v1/status.
type agentStatus struct {
	Version string `json:"version"`
	collector.Status
}

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
