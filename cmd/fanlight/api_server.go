package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/exporters"
	"github.com/fanlight-io/fanlight/redact"
)

// apiServer answers at the socket and, if that is asked for, by TCP.
type apiServer struct {
	socket, tcp net.Listener // nil: none
	guard       *guard       // of tcp
	cert        *certificate // of tcp
	conns       *connections
	counts      *apiCounts
	events      *eventSource
	control     bool // what is static may be changed at the socket
}

// listenAPI opens the listeners; close what it returned if it is not run.
func listenAPI(cfg apiConfig, m *redact.Metrics, events *eventSource) (s *apiServer, err error) {
	s = &apiServer{counts: newAPICounts(m), events: events, control: cfg.control()}
	s.conns = newConnections(func() { s.counts.answered(http.StatusServiceUnavailable) })
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if cfg.path() != "" {
		if s.socket, err = cfg.listenSocket(); err != nil {
			return s, fmt.Errorf("api.socket: %w", err)
		}
	}
	if cfg.Listen != "" {
		s.guard, s.cert = &guard{path: cfg.TokenFile}, &certificate{files: cfg.TLS}
		if err := errors.Join(s.guard.Reopen(), s.cert.Reopen()); err != nil {
			return s, err
		}
		if s.tcp, err = net.Listen("tcp", cfg.Listen); err != nil {
			return s, fmt.Errorf("api.listen: %w", err)
		}
	}
	m.OnScrape(func() { s.counts.refresh(s.conns, events) })
	return s, nil
}

// reopeners read their files again at SIGHUP.
func (s *apiServer) reopeners() []exporters.Reopener {
	if s.tcp == nil {
		return nil
	}
	return []exporters.Reopener{s.guard, s.cert}
}

// close closes listeners that are not served.
func (s *apiServer) close() error {
	var errs []error
	for _, l := range []net.Listener{s.socket, s.tcp} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}

const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 10 * time.Second // of all that is no stream
	maxHeader     = 16 << 10
	maxBody       = 64 << 10
	// farewell is how long streams have for the last events when the agent
	// stops, once there are no more.
	farewell = time.Second
)

// run answers until ctx is done. A slow client holds a connection and nothing
// else, and that not for long.
func (s *apiServer) run(ctx context.Context, a *collector.Agent, p *redact.Policy) error {
	srv := &http.Server{
		Handler:           s.handler(a, p),
		ConnContext:       withPeer,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // its lines hold clients' addresses
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		s.events.finish(farewell)
		srv.Close()
	})
	g := errgroup.Group{}
	serve := func(l net.Listener) {
		g.Go(func() error {
			if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve api: %w", err)
			}
			return nil
		})
	}
	if s.socket != nil {
		serve(s.conns.limit(s.socket))
	}
	if s.tcp != nil {
		serve(tls.NewListener(s.conns.limit(s.tcp), s.cert.config()))
	}
	err := g.Wait()
	if !stop() {
		<-ended
	}
	return err
}
