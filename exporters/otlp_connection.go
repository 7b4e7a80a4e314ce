package exporters

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/fanlight-io/fanlight/bytesize"
)

// OTLPConnection says how to reach a receiver of the OpenTelemetry protocol.
type OTLPConnection struct {
	// Endpoint is host:port for grpc, and a URL for http, to which the signal's
	// path is added: /v1/logs or /v1/metrics.
	Endpoint string `yaml:"endpoint"`
	// Protocol is grpc or http, with protobuf as body.
	Protocol string `yaml:"protocol"`
	// Insecure sends in clear, without TLS.
	Insecure bool      `yaml:"insecure"`
	TLS      TLSConfig `yaml:"tls"`
	// Headers are sent with each request.
	Headers map[string]string `yaml:"headers"`
	// HeadersFiles are the same for secrets: each value is what a file holds.
	HeadersFiles map[string]string `yaml:"headers_files"`
	// Compression is gzip, zstd or none.
	Compression string `yaml:"compression"`
	// Timeout bounds one request, connecting included.
	Timeout time.Duration `yaml:"timeout"`
	// MaxRequestBytes is how large a request may be before it is compressed.
	MaxRequestBytes bytesize.Size `yaml:"max_request_bytes"`
}

// defaultOTLP has the limit that gRPC servers put on messages by themselves.
func defaultOTLP() OTLPConnection {
	return OTLPConnection{Protocol: "grpc", Compression: "gzip", Timeout: 10 * time.Second, MaxRequestBytes: 4 << 20}
}

const minOTLPRequest = 64 << 10

// Validate checks everything but the peer and the files.
func (c *OTLPConnection) Validate() error {
	switch {
	case c.Endpoint == "":
		return errors.New("endpoint is missing")
	case c.Protocol != "grpc" && c.Protocol != "http":
		return fmt.Errorf("protocol %q: want grpc or http", c.Protocol)
	case !slices.Contains([]string{"gzip", "zstd", "none"}, c.Compression):
		return fmt.Errorf("compression %q: want gzip, zstd or none", c.Compression)
	case c.Timeout <= 0:
		return fmt.Errorf("timeout %s: want more than 0", c.Timeout)
	case c.MaxRequestBytes < minOTLPRequest || c.MaxRequestBytes > 1<<30:
		return fmt.Errorf("max_request_bytes %s: want 64KiB to 1GiB", c.MaxRequestBytes)
	case c.Insecure && c.TLS != (TLSConfig{}):
		return errors.New("insecure and tls: want one of them")
	}
	if err := c.TLS.Validate(); err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	host, err := c.host()
	if err != nil {
		return err
	}
	if c.Insecure && len(c.HeadersFiles) > 0 && !isLoopback(host) {
		return errors.New("headers_files: their secrets would go in clear: leave out insecure")
	}
	return c.validateHeaders()
}

// host returns the host of the endpoint.
func (c *OTLPConnection) host() (string, error) {
	if c.Protocol == "grpc" {
		host, port, err := net.SplitHostPort(c.Endpoint)
		if err != nil || host == "" || port == "" || strings.Contains(host, "/") {
			return "", fmt.Errorf("endpoint %q: grpc wants host:port", c.Endpoint)
		}
		return host, nil
	}
	want := "https"
	if c.Insecure {
		want = "http"
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Scheme != want || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("endpoint: want %s://host:port, or that and a path, for http; http:// goes with insecure", want)
	}
	return u.Hostname(), nil
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// reservedHeaders are those that the protocols set.
var reservedHeaders = []string{"content-type", "content-encoding", "content-length", "host", "te", "user-agent", "connection", "transfer-encoding"}

func (c *OTLPConnection) validateHeaders() error {
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		if !httpguts.ValidHeaderFieldValue(c.Headers[name]) {
			return fmt.Errorf("headers: %s: its value holds what a header can't", name)
		}
		for other := range c.HeadersFiles {
			if strings.EqualFold(name, other) {
				return fmt.Errorf("headers: %s is in headers_files, too", name)
			}
		}
	}
	for _, names := range []map[string]string{c.Headers, c.HeadersFiles} {
		for _, name := range slices.Sorted(maps.Keys(names)) {
			lower := strings.ToLower(name)
			switch {
			case !httpguts.ValidHeaderFieldName(name):
				return fmt.Errorf("headers: %q is no name of a header", name)
			case slices.Contains(reservedHeaders, lower), strings.HasPrefix(lower, "grpc-"), strings.HasSuffix(lower, "-bin"):
				return fmt.Errorf("headers: %s is not yours to set", name)
			}
		}
	}
	return nil
}

// readHeaders returns all headers, names in lower case as gRPC wants them.
func (c *OTLPConnection) readHeaders() (map[string]string, error) {
	all := make(map[string]string, len(c.Headers)+len(c.HeadersFiles))
	for name, value := range c.Headers {
		all[strings.ToLower(name)] = value
	}
	for _, name := range slices.Sorted(maps.Keys(c.HeadersFiles)) {
		path := c.HeadersFiles[name]
		if err := checkSecret(path); err != nil {
			return nil, fmt.Errorf("headers_files: %s: %w", name, err)
		}
		value, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("headers_files: %s: %w", name, err)
		}
		text := strings.TrimSpace(string(value))
		if text == "" || !httpguts.ValidHeaderFieldValue(text) {
			return nil, fmt.Errorf("headers_files: %s: %s is empty, or holds what a header can't", name, path)
		}
		all[strings.ToLower(name)] = text
	}
	return all, nil
}
