package main

import (
	"fmt"
	"net"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/live"
)

// livePage is the live page with where it is.
type livePage struct {
	*live.Server
	listen net.Listener
}

// openLive opens the live page, if there is to be one, and returns the sinks
// with its own.
func (s *service) openLive(sinks []collector.NamedSink) ([]collector.NamedSink, error) {
	if s.cfg.Live.Listen == "" {
		return sinks, nil
	}
	deps := live.Deps{
		View:    func() (collector.View, error) { return s.agent.View() },
		Policy:  s.policy,
		Metrics: s.metrics,
		Version: version,
	}
	for _, r := range reasons {
		deps.Reasons = append(deps.Reasons, live.Reason(r))
	}
	server := live.New(deps)
	sink, err := server.Sink(s.policy)
	if err != nil {
		return sinks, err
	}
	l, err := net.Listen("tcp", s.cfg.Live.Listen)
	if err != nil {
		return sinks, fmt.Errorf("live.listen: %w", err)
	}
	s.live = &livePage{server, l}
	return append(sinks, sink), nil
}

// liveURL is where the live page is, "" for nowhere.
func (s *service) liveURL() string {
	if s.live == nil {
		return ""
	}
	return fmt.Sprintf("http://%s/", s.live.listen.Addr())
}
