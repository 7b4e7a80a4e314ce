package exporters

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// otelcol is a real OpenTelemetry Collector, made by "make otelcol". It listens
// in clear, and with TLS and a token for those with a certificate, and writes
// what it has understood to files.
type otelcol struct {
	t                *testing.T
	dir              string
	grpc, http       string // addresses in clear
	grpcTLS, httpTLS string
	ca, cert, key    string
	token            string // file
	cmd              *exec.Cmd
	said             output
}

// output collects what a process writes.
type output struct {
	mu sync.Mutex
	b  strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func needOtelcol(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", ".cache", "otelcol", "otelcol"))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err == nil {
		return path
	}
	if os.Getenv("REQUIRE_BPF") == "1" {
		t.Fatalf("the collector is required: run make otelcol: %v", err)
	}
	t.Skipf("no collector: run make otelcol: %v", err)
	return ""
}

func newOtelcol(t *testing.T) *otelcol {
	program := needOtelcol(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	c := &otelcol{
		t: t, dir: dir, grpc: freeAddress(t), http: freeAddress(t), grpcTLS: freeAddress(t), httpTLS: freeAddress(t),
		ca: at("ca.pem"), cert: at("client.pem"), key: at("client.key"), token: at("token"),
	}
	authority := newAuthority(t, c.ca)
	authority.issue(t, "otel.example.com", at("server.pem"), at("server.key"))
	authority.issue(t, "fanlight", c.cert, c.key)
	writeFile(t, c.token, "Bearer open-sesame\n", 0o600)
	tls := fmt.Sprintf("{cert_file: %q, key_file: %q, client_ca_file: %q}", at("server.pem"), at("server.key"), c.ca)
	writeFile(t, at("config.yaml"), fmt.Sprintf(`
extensions:
  bearertokenauth: {scheme: Bearer, token: open-sesame}
receivers:
  otlp:
    protocols:
      grpc: {endpoint: %[2]s}
      http: {endpoint: %[3]s}
  otlp/tls:
    protocols:
      grpc: {endpoint: %[4]s, tls: %[6]s, auth: {authenticator: bearertokenauth}}
      http: {endpoint: %[5]s, tls: %[6]s, auth: {authenticator: bearertokenauth}}
exporters:
  file/logs: {path: "%[1]s/logs.json", append: true, flush_interval: 20ms}
  file/metrics: {path: "%[1]s/metrics.json", append: true, flush_interval: 20ms}
service:
  extensions: [bearertokenauth]
  telemetry: {metrics: {level: none}, logs: {level: warn}}
  pipelines:
    logs: {receivers: [otlp, otlp/tls], exporters: [file/logs]}
    metrics: {receivers: [otlp, otlp/tls], exporters: [file/metrics]}
`, dir, c.grpc, c.http, c.grpcTLS, c.httpTLS, tls), 0o600)
	c.start(program)
	t.Cleanup(func() {
		c.stop(syscall.SIGTERM)
		if t.Failed() {
			t.Log(c.said.String())
		}
	})
	return c
}

func (c *otelcol) start(program string) {
	c.t.Helper()
	c.cmd = exec.Command(program, "--config", filepath.Join(c.dir, "config.yaml"))
	c.cmd.Stdout, c.cmd.Stderr = &c.said, &c.said
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	for _, address := range []string{c.grpc, c.http, c.grpcTLS, c.httpTLS} {
		c.await("listen at "+address, func() bool {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
	}
}

// await waits until the collector has done something, half a minute at most.
func (c *otelcol) await(what string, done func() bool) {
	c.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			c.t.Fatalf("the collector does not %s:\n%s", what, c.said.String())
		}
	}
}

// stop ends the collector, if it runs.
func (c *otelcol) stop(s syscall.Signal) {
	if c.cmd == nil {
		return
	}
	c.cmd.Process.Signal(s)
	c.cmd.Wait() // it ends by the signal, which counts as an error
	c.cmd = nil
}

// read calls visit with each message that stands in a file, whole so far.
func (c *otelcol) read(name string, message proto.Message, visit func()) {
	c.t.Helper()
	f, err := os.Open(filepath.Join(c.dir, name))
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	all, err := io.ReadAll(f)
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range bytes.Lines(all) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			return
		}
		proto.Reset(message)
		if err := protojson.Unmarshal(line, message); err != nil {
			c.t.Fatalf("%s: %v\n%s", name, err, line)
		}
		visit()
	}
}

// connection returns how to reach the collector.
func (c *otelcol) connection(protocol string, secure bool) OTLPConnection {
	conn := defaultOTLP()
	conn.Protocol, conn.Insecure = protocol, !secure
	conn.Endpoint = c.grpc
	if protocol == "http" {
		conn.Endpoint = "http://" + c.http
	}
	if !secure {
		return conn
	}
	conn.Endpoint = c.grpcTLS
	if protocol == "http" {
		conn.Endpoint = "https://" + c.httpTLS
	}
	conn.TLS = TLSConfig{CAFile: c.ca, CertFile: c.cert, KeyFile: c.key, ServerName: "otel.example.com"}
	conn.HeadersFiles = map[string]string{"Authorization": c.token}
	return conn
}
