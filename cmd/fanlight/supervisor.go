package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// supervisor is the service manager that started the process, if one did: it is
// told by the protocol of sd_notify(3) how the agent does.
type supervisor struct {
	log *slog.Logger
	// watchdog is how often it wants to hear that the agent lives; 0: never.
	watchdog time.Duration
}

func newSupervisor(log *slog.Logger) *supervisor {
	s := &supervisor{log: log}
	var err error
	if s.watchdog, err = daemon.SdWatchdogEnabled(false); err != nil {
		log.Warn("the service manager's watchdog is not fed", "error", err)
	}
	return s
}

// tell does nothing without a service manager.
func (s *supervisor) tell(states ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(states, "\n")); err != nil {
		s.log.Warn("the service manager can't be told", "error", err)
	}
}

func (s *supervisor) ready(status string) { s.tell(daemon.SdNotifyReady, "STATUS="+status) }

func (s *supervisor) reloading() {
	s.tell(daemon.SdNotifyReloading, daemon.SdNotifyMonotonicUsec(), "STATUS=Reading the configuration")
}

func (s *supervisor) stopping() {
	s.tell(daemon.SdNotifyStopping, "STATUS=Stopping; the kernel goes on forwarding")
}

const (
	// statusInterval is how old the status of a service may be.
	statusInterval = 10 * time.Second
	// lookInterval is how often an agent without a watchdog looks whether it is stuck.
	lookInterval = 10 * time.Second
)

// keepStatus keeps the status current until ctx is done. It is apart from
// guard, because status may have to wait for a loop.
func (s *supervisor) keepStatus(ctx context.Context, status func() string) {
	repeat(ctx, statusInterval, func() { s.tell("STATUS=" + status()) })
}

// guard feeds the watchdog while nothing is stuck, until ctx is done. What is
// stuck is logged once.
func (s *supervisor) guard(ctx context.Context, stuck func() []string) {
	every := lookInterval
	if s.watchdog > 0 {
		every = s.watchdog / 3
	}
	var known []string
	repeat(ctx, every, func() {
		now := stuck()
		if len(now) == 0 {
			s.tell(daemon.SdNotifyWatchdog)
		} else if !slices.Equal(now, known) {
			s.log.Error("no progress; see where it hangs", "loops", strings.Join(now, ","), "goroutines", goroutines())
		}
		known = now
	})
}

// repeat calls fn at once and then every so often, until ctx is done.
func repeat(ctx context.Context, every time.Duration, fn func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		fn()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// goroutines tells where each goroutine is, without arguments: they could be
// addresses, as in the trace that a killed process prints.
func goroutines() string {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		return err.Error()
	}
	return b.String()
}

// statusLine is what 'systemctl status' shows of a forwarding agent.
func (s *service) statusLine() string {
	domains, err := s.agent.Domains()
	if err != nil {
		return err.Error()
	}
	ports, groups := 0, 0
	for _, d := range domains {
		ports += d.Ports
		groups += d.Groups
	}
	line := fmt.Sprintf("Forwarding: %d domains, %d ports, %d groups", len(domains), ports, groups)
	if ports == 0 {
		line += "; none of the configured ports exists yet"
	}
	if s.refused.Load() {
		line += "; the last reload was refused, see the journal"
	}
	return line
}
