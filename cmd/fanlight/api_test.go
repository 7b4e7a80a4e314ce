package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/history"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// bareAPI is an API whose agent does not run, with the events of redacttest in
// its history.
type bareAPI struct {
	*apiServer
	socket  string
	policy  *redact.Policy
	metrics *redact.Metrics
	stop    context.CancelFunc
	done    chan error
}

func newBareAPI(t testing.TB, change func(*apiConfig)) *bareAPI {
	t.Helper()
	p := redacttest.Policy(t, redact.DefaultProfile)
	m, err := p.NewMetrics(redact.MetricsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	events, err := newEventSource(config{History: history.Config{MaxAge: 1 << 62}}, p) // the events are old
	if err != nil {
		t.Fatal(err)
	}
	b := &bareAPI{socket: filepath.Join(t.TempDir(), "api.sock"), policy: p, metrics: m, done: make(chan error, 1)}
	cfg := apiConfig{Socket: b.socket}
	if change != nil {
		change(&cfg)
	}
	if b.apiServer, err = listenAPI(cfg, m, events); err != nil {
		t.Fatal(err)
	}
	if err := events.kept.Export(t.Context(), p.Apply(nil, redacttest.Events())); err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, b.stop = context.WithCancel(context.Background())
	go func() { b.done <- b.run(ctx, collector.New(collector.Config{}, collector.Deps{}), p) }()
	t.Cleanup(func() {
		events.kept.Close(context.Background())
		b.stop()
		if err := <-b.done; err != nil {
			t.Error(err)
		}
	})
	return b
}

// dial connects to the socket until the test ends.
func (b *bareAPI) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("unix", b.socket, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// observe runs the verb against the socket.
func (b *bareAPI) observe(t testing.TB, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	return call(t.Context(), append([]string{"observe", "--socket", b.socket}, args...)...)
}

// status asks for the status, which must come soon, and returns the code.
func (b *bareAPI) status(t testing.TB) int {
	t.Helper()
	c := b.dial(t)
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// Whoever connects and says nothing, or half of something, keeps nobody out,
// and gives way when there are too many.
func TestHalfOpenRequestsKeepNobodyOut(t *testing.T) {
	b := newBareAPI(t, nil)
	for i := range 2 * maxConnections {
		c := b.dial(t)
		if i%2 == 0 {
			io.WriteString(c, "GET /v1/sta") // what follows never comes
		}
		if i%100 == 99 && b.status(t) != http.StatusServiceUnavailable { // as the agent does not run
			t.Fatalf("no answer beside %d half-open requests", i)
		}
	}
	if local, _ := b.conns.counts(); local > maxConnections {
		t.Errorf("%d connections, want %d at most", local, maxConnections)
	}
}

// A thousand clients that read nothing of what they asked for: those that find
// a place hold it, others are refused, and a status comes all the same.
func TestSlowReadersKeepNobodyOut(t *testing.T) {
	b := newBareAPI(t, nil)
	for range 1000 {
		io.WriteString(b.dial(t), "GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	deadline := time.Now().Add(patience)
	for b.events.streams.Load() != maxStreams {
		if time.Now().After(deadline) {
			t.Fatalf("%d streams, want %d", b.events.streams.Load(), maxStreams)
		}
		time.Sleep(time.Millisecond) // between two looks at the condition
	}
	if _, _, err := b.observe(t); err == nil || !strings.Contains(err.Error(), "too many streams") {
		t.Errorf("one stream more: %v", err)
	}
	if page := parseSeries(t, string(b.metrics.AppendPage(nil))); page.sum("fanlight_api_requests_total", `code="503"`) == 0 || page.sum("fanlight_api_streams") != maxStreams {
		t.Error("refused streams are not counted")
	}
	slowest := time.Duration(0)
	for range 50 {
		began := time.Now()
		if code := b.status(t); code != http.StatusServiceUnavailable {
			t.Fatalf("status %d", code)
		}
		slowest = max(slowest, time.Since(began))
	}
	t.Logf("slowest of 50 answers beside %d streams: %v", maxStreams, slowest)
	if slowest > 2*time.Second {
		t.Errorf("an answer took %v beside slow readers", slowest)
	}
	// Nobody reads, and still events find their place at once.
	seq := 1000
	began := time.Now()
	for range 100 {
		if err := b.events.kept.Export(t.Context(), b.policy.Apply(nil, redacttest.Busy(seq, 2000))); err != nil {
			t.Fatal(err)
		}
		seq += 2000
	}
	t.Logf("200000 events beside readers that take none: %v", time.Since(began))
}

// What is missing is told, in the stream, on standard error and by the exit
// status, whatever the filters.
func TestObserveTellsLosses(t *testing.T) {
	b := newBareAPI(t, nil)
	for _, from := range []int{0, 204} { // 104 are missing in between
		busy := redacttest.Busy(from, 100)
		for i := range busy {
			busy[i].Ring = 7
		}
		if err := b.events.kept.Export(t.Context(), b.policy.Apply(nil, busy)); err != nil {
			t.Fatal(err)
		}
	}
	for _, output := range eventOutputs {
		stdout, stderr, err := b.observe(t, "--last", "150", "--type", "replication", "-o", output)
		if !errors.Is(err, errEventsLost) || !strings.Contains(err.Error(), "104 before they got here") || exitCode(err) != 1 {
			t.Errorf("-o %s: %v", output, err)
		}
		if !strings.Contains(stderr, "104 before they got here") {
			t.Errorf("-o %s: standard error %q", output, stderr)
		}
		if told := strings.Contains(stdout, lossStart+`missing","lost_events":104,`); told != (output == "json") {
			t.Errorf("-o %s: the loss is in the output: %v", output, told)
		}
	}
}

// A token file is read with care, and again at SIGHUP.
func TestTokenFile(t *testing.T) {
	write := func(mode os.FileMode, text string) string {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const good = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
	for _, c := range []struct {
		mode os.FileMode
		text string
		want string // in the error; empty: none
	}{
		{0o600, good + "\n", ""},
		{0o400, "  " + good + "  \nanother line\n", ""},
		{0o640, good, "chmod 0600"},
		{0o600, "short", "openssl rand"},
		{0o600, strings.Repeat("x", 2000), "openssl rand"},
		{0o600, "with a space in the middle of it", "no spaces"},
		{0o600, "", "openssl rand"},
	} {
		g := &guard{path: write(c.mode, c.text)}
		err := g.Reopen()
		switch {
		case c.want == "" && (err != nil || !g.admits("Bearer "+good) || g.admits("Bearer "+good+"x") || g.admits(good) || g.admits("")):
			t.Errorf("%q: %v, or it lets in whom it should not", c.text, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q, mode %o: %v, want %q", c.text, c.mode, err, c.want)
		case strings.Contains(fmt.Sprint(err), good):
			t.Errorf("the error shows the token: %v", err)
		}
	}
	g := &guard{path: write(0o600, good)}
	if err := g.Reopen(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(g.path, []byte("bad"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.Reopen(); err == nil || !g.admits("Bearer "+good) {
		t.Errorf("a bad new token: %v; the old one is to go on", err)
	}
}

// writeCertificate makes a certificate that vouches for itself.
func writeCertificate(t testing.TB, dir string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "agent"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "api.crt"), filepath.Join(dir, "api.key")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// By TCP there is nothing without TLS and the token, and never a reveal.
func TestTCP(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := writeCertificate(t, dir)
	token, other := filepath.Join(dir, "token"), filepath.Join(dir, "other")
	for path, text := range map[string]string{token: "right-right-right-right", other: "wrong-wrong-wrong-wrong"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := newBareAPI(t, func(c *apiConfig) {
		c.Listen, c.TLS, c.TokenFile = "127.0.0.1:0", apiTLSConfig{certFile, keyFile}, token
	})
	address := b.tcp.Addr().String()
	observe := func(args ...string) (string, error) {
		out, _, err := call(t.Context(), append([]string{"observe", "--last", "1", "--address", address}, args...)...)
		return out, err
	}
	if out, err := observe("--ca-file", certFile, "--token-file", token); err != nil || strings.Count(out, "\n") != 1 {
		t.Errorf("with authority and token: %v\n%s", err, out)
	}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no authority", []string{"--token-file", token}, "--ca-file names the authority"},
		{"wrong token", []string{"--token-file", other, "--ca-file", certFile}, "Authorization: Bearer"},
	} {
		if _, err := observe(c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	// At SIGHUP.
	if err := os.Rename(other, token); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.reopeners() {
		if err := r.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := observe("--ca-file", certFile, "--token-file", token); err != nil {
		t.Errorf("with a new token: %v", err)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, "GET /v1/events?last=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong-wrong-wrong-wrong\r\n\r\n")
	if answer, _ := io.ReadAll(conn); bytes.Contains(answer, []byte("schema_version")) {
		t.Errorf("events in clear: %s", answer)
	}
	cl := client{address: address, caFile: certFile, tokenFile: token, socket: defaultSocket}
	if _, err := cl.open(t.Context(), eventsPath, map[string][]string{"reveal": {"true"}}); err == nil || !strings.Contains(err.Error(), "only root") {
		t.Errorf("reveal by TCP: %v", err)
	}
}

func TestTCPNeedsTLSAndAToken(t *testing.T) {
	for text, want := range map[string]string{
		"listen: ':9465'": "tls.cert_file",
		"listen: ':9465', tls: {cert_file: a, key_file: b}":                 "token_file",
		"listen: ':9465', token_file: t":                                    "tls.cert_file",
		"listen: ':9465', token_file: t, tls: {cert_file: a}":               "tls.key_file",
		"listen: nonsense, token_file: t, tls: {cert_file: a, key_file: b}": "host:port",
		"token_file: t": "without it",
		"listen: '127.0.0.1:0', token_file: t, tls: {cert_file: a, key_file: b}": "",
		"socket: none, listen: ':1', token_file: t, tls: {cert_file: a, key: b}": "unknown key",
	} {
		_, err := parseConfig(strings.NewReader("domains: [{name: lab, ports: [p0]}]\napi: {" + text + "}\n"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("api: {%s}: %v, want %q", text, err, want)
		}
	}
}

// FuzzAPI sends bytes to the socket: the server answers or hangs up, and goes on
// answering others.
func FuzzAPI(f *testing.F) {
	for _, request := range []string{
		"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v1/groups?group=239.1.1.1&reveal=true HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v1/events?last=5&not.type=drop&group=233.0.0.0/8&since=0s HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v1/events?interface=[&subscriber=%ff&source=::/0&until=2026-11-22T21:34:05Z HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nabc",
		"GET /v1/openapi.yaml HTTP/1.0\r\n\r\nGET /../../etc/passwd HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"GET /v1/sta",
	} {
		f.Add([]byte(request))
	}
	b := newBareAPI(f, nil)
	f.Fuzz(func(t *testing.T, request []byte) {
		c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: b.socket, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		c.Write(request)
		c.CloseWrite()
		answer, err := io.ReadAll(c)
		if err != nil && os.IsTimeout(err) {
			t.Fatalf("no end of the answer: %q", answer)
		}
		if len(answer) > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.")) {
			t.Fatalf("answer %q", answer)
		}
		if bytes.HasPrefix(answer, []byte("HTTP/1.1 500")) {
			t.Fatalf("answer %q", answer)
		}
		if code := b.status(t); code != http.StatusServiceUnavailable {
			t.Fatalf("status %d afterwards", code)
		}
	})
}
