package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// errNoAgent: nobody answers on the socket.
var errNoAgent = errors.New("no agent answers")

// ask gets an answer of the agent behind the socket.
func ask(ctx context.Context, socket, path string, into any) error {
	return request(ctx, socket, http.MethodGet, path, nil, into)
}

// request sends body, if it is not nil, as JSON, and gets the answer.
func request(ctx context.Context, socket, method, path string, body, into any) error {
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(raw)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, sent)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w at %s: start one with 'fanlight run', or say --socket PATH as in its api.socket", errNoAgent, socket)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s is not yours to use: be root, or in the group that api.group names", socket)
	case err != nil:
		return fmt.Errorf("ask the agent: %w", err)
	}
	defer resp.Body.Close()
	d := json.NewDecoder(resp.Body)
	if resp.StatusCode != http.StatusOK {
		var failed apiError
		if err := d.Decode(&failed); err != nil || failed.Error == "" {
			failed.Error = resp.Status
		}
		return fmt.Errorf("the agent answers: %s", failed.Error)
	}
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	return nil
}
