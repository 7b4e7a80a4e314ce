package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// lifeStage is what an agent is about.
type lifeStage int

const (
	starting lifeStage = iota
	forwarding
	stopping
)

// stage tells starting from forwarding by the agent itself, and stopping by ctx.
func (s *service) stage(ctx context.Context) lifeStage {
	if ctx.Err() != nil {
		return stopping
	}
	select {
	case <-s.agent.Ready():
		return forwarding
	default:
		return starting
	}
}

// addHealth puts the pages for probes beside the metrics. Both answer 200 with
// "ok", or 503 with one reason per line.
func (s *service) addHealth(ctx context.Context) {
	s.page.Handle("GET /livez", health(func() []string { return s.stuck() }))
	s.page.Handle("GET /readyz", health(func() []string { return s.unready(ctx) }))
}

func health(reasons func() []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		why := reasons()
		if len(why) == 0 {
			fmt.Fprintln(w, "ok")
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, strings.Join(why, "\n"))
	})
}

// stuck is what only a new process can cure.
func (s *service) stuck() (reasons []string) {
	for _, loop := range s.agent.Stuck() {
		reasons = append(reasons, "stuck: "+loop)
	}
	return reasons
}

// unready is why nothing is forwarded by this agent, or not any more.
func (s *service) unready(ctx context.Context) []string {
	switch s.stage(ctx) {
	case starting:
		return []string{"starting: programs are loaded, ports attached and members restored"}
	case stopping:
		return []string{"stopping: the kernel goes on forwarding to the members known now"}
	}
	return s.stuck()
}
