package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// errNoAgent: nobody answers.
var errNoAgent = errors.New("no agent answers")

// client asks an agent, where and as flags say.
type client struct {
	socket    string
	address   string // host:port instead of the socket
	caFile    string
	tokenFile string
	reveal    bool
}

// flags adds those that say which agent is asked.
func (c *client) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.socket, "socket", defaultSocket, "`path` of the agent's socket")
	f.StringVar(&c.address, "address", "", "`host:port` of an agent's api.listen, instead of the socket")
	f.StringVar(&c.caFile, "ca-file", "", "`file` with the authority of that agent's certificate (default: those of the system)")
	f.StringVar(&c.tokenFile, "token-file", "", "`file` with the token for that agent")
}

// revealFlag adds the flag for answers in clear.
func (c *client) revealFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.reveal, "reveal", false, "show what policy hides; only for root, at the socket")
}

func (c *client) validate() error {
	switch {
	case c.address == "" && c.tokenFile+c.caFile != "":
		return fmt.Errorf("%w: --ca-file and --token-file go with --address", errUsage)
	case c.address != "" && c.socket != defaultSocket:
		return fmt.Errorf("%w: --socket and --address: want one of them", errUsage)
	case c.address != "" && c.tokenFile == "":
		return fmt.Errorf("%w: --address needs --token-file: the file that the agent's api.token_file names, or a copy", errUsage)
	case c.address != "" && c.reveal:
		return fmt.Errorf("%w: --reveal works at the agent's socket only, not with --address", errUsage)
	}
	return nil
}

// where names the agent in messages.
func (c *client) where() string {
	if c.address != "" {
		return c.address
	}
	return c.socket
}

// ask gets an answer of the agent.
func (c *client) ask(ctx context.Context, path string, query url.Values, into any) error {
	return c.send(ctx, http.MethodGet, path, query, nil, into)
}

// send sends body, if it is not nil, as JSON, and gets the answer.
func (c *client) send(ctx context.Context, method, path string, query url.Values, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	resp, err := c.do(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	return nil
}

// open asks the agent and returns its answer, whose body the caller closes.
func (c *client) open(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	return c.do(ctx, http.MethodGet, path, query, nil)
}

func (c *client) do(ctx context.Context, method, path string, query url.Values, body any) (*http.Response, error) {
	req, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return nil, err
	}
	transport, err := c.transport()
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		var failed apiError
		if err := json.NewDecoder(resp.Body).Decode(&failed); err != nil || failed.Error == "" {
			failed.Error = resp.Status
		}
		return nil, fmt.Errorf("the agent answers: %s", failed.Error)
	}
	return resp, nil
}

// request makes a request of an escaped path.
func (c *client) request(ctx context.Context, method, path string, query url.Values, body any) (*http.Request, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	target, err := url.Parse("http://agent" + path)
	if err != nil {
		return nil, err
	}
	if c.address != "" {
		target.Scheme, target.Host = "https", c.address
	}
	if c.reveal {
		if query == nil {
			query = url.Values{}
		}
		query.Set("reveal", "true")
	}
	target.RawQuery = query.Encode()
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), sent)
	if err != nil || c.address == "" {
		return req, err
	}
	token, err := readToken(c.tokenFile)
	if err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return req, nil
}

func (c *client) transport() (*http.Transport, error) {
	t := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	if c.address == "" {
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", c.socket)
		}
		return t, nil
	}
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.caFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.caFile)
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	t.TLSClientConfig.RootCAs = x509.NewCertPool()
	if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ca-file: %s holds no certificate", c.caFile)
	}
	return t, nil
}

// explain says what to do about an agent that can't be asked.
func (c *client) explain(ctx context.Context, err error) error {
	var unknown x509.UnknownAuthorityError
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED) && c.address == "":
		return fmt.Errorf("%w at %s: start one with 'fanlight run', or say --socket PATH as in its api.socket", errNoAgent, c.socket)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w at %s: --address is to be as in its api.listen", errNoAgent, c.address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s is not yours to use: be root, or in the group that api.group names", c.socket)
	case errors.As(err, &unknown):
		return fmt.Errorf("ask the agent: %w; --ca-file names the authority to trust", err)
	}
	return fmt.Errorf("ask the agent: %w", err)
}
