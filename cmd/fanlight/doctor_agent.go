package main

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"net/url"
	"os"

	"github.com/fanlight-io/fanlight/doctor"
)

// agentAsker returns what asks the agent behind a socket about a group; nil if
// there is no such socket.
func agentAsker(socket string, group netip.Addr) func(context.Context) (doctor.AgentView, error) {
	if _, err := os.Stat(socket); socket == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return func(ctx context.Context) (doctor.AgentView, error) {
		return agentView(ctx, socket, group)
	}
}

func agentView(ctx context.Context, socket string, group netip.Addr) (v doctor.AgentView, err error) {
	// What a policy hides from others is no secret from root.
	c := client{socket: socket, reveal: os.Geteuid() == 0}
	var groups []groupSummary
	var subscriptions []subscription
	for path, into := range map[string]any{"/v1/groups": &groups, "/v1/subscribers": &subscriptions} {
		if err := c.ask(ctx, path, url.Values{"group": {group.String()}}, into); err != nil {
			return v, err
		}
	}
	if socket != defaultSocket {
		v.Flags = " --socket " + socket
	}
	v.Known = len(groups) > 0
	for _, g := range groups {
		v.Dropped += g.Dropped
		v.Failed += g.Failed
	}
	for _, s := range subscriptions {
		v.Subscribers = append(v.Subscribers, doctor.AgentSubscriber{Interface: s.Interface, Hosts: s.Hosts})
	}
	return v, nil
}
