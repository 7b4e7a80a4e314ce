package exporters

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/bytesize"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

func retryInfo(t *testing.T, code codes.Code, wait time.Duration) error {
	t.Helper()
	s, err := status.New(code, "198.51.100.199 is what a peer may echo").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	if err != nil {
		t.Fatal(err)
	}
	return s.Err()
}

// What each status means, as the specification has it.
func TestOTLPStatus(t *testing.T) {
	s := newOTLPServer(t)
	echo := "198.51.100.199 is what a peer may echo"
	httpStatus := func(code int, after string) func(int, http.ResponseWriter) bool {
		return func(_ int, w http.ResponseWriter) bool {
			w.Header().Set("Retry-After", after)
			http.Error(w, echo, code)
			return true
		}
	}
	type server struct {
		err   error
		reply func(int, http.ResponseWriter) bool
	}
	for what, c := range map[string]struct {
		server server
		retry  bool
		wait   time.Duration
	}{
		"grpc Unavailable":                    {server{err: status.Error(codes.Unavailable, echo)}, true, 0},
		"grpc Unavailable, wait":              {server{err: retryInfo(t, codes.Unavailable, 3*time.Second)}, true, 3 * time.Second},
		"grpc ResourceExhausted":              {server{err: status.Error(codes.ResourceExhausted, echo)}, false, 0},
		"grpc ResourceExhausted, wait":        {server{err: retryInfo(t, codes.ResourceExhausted, 2*time.Second)}, true, 2 * time.Second},
		"grpc InvalidArgument":                {server{err: status.Error(codes.InvalidArgument, echo)}, false, 0},
		"grpc InvalidArgument, wait":          {server{err: retryInfo(t, codes.InvalidArgument, time.Second)}, false, 0},
		"grpc Internal":                       {server{err: status.Error(codes.Internal, echo)}, false, 0},
		"grpc DataLoss":                       {server{err: status.Error(codes.DataLoss, echo)}, true, 0},
		"http 400":                            {server{reply: httpStatus(400, "7")}, false, 0},
		"http 404":                            {server{reply: httpStatus(404, "")}, true, 0},
		"http 401, wait":                      {server{reply: httpStatus(401, "60")}, true, time.Minute},
		"grpc Unauthenticated":                {server{err: status.Error(codes.Unauthenticated, echo)}, true, 0},
		"grpc Unimplemented":                  {server{err: status.Error(codes.Unimplemented, echo)}, true, 0},
		"http 307":                            {server{reply: httpStatus(307, "")}, true, 0},
		"http 413":                            {server{reply: httpStatus(413, "")}, false, 0},
		"http 429, wait":                      {server{reply: httpStatus(429, "7")}, true, 7 * time.Second},
		"http 502":                            {server{reply: httpStatus(502, "")}, true, 0},
		"http 503, wait":                      {server{reply: httpStatus(503, "120")}, true, 2 * time.Minute},
		"http 503, past date":                 {server{reply: httpStatus(503, "Mon, 02 Jan 2006 15:04:05 GMT")}, true, 0},
		"http 504, no number":                 {server{reply: httpStatus(504, "soon")}, true, 0},
		"http 500, which the standard leaves": {server{reply: httpStatus(500, "")}, false, 0},
	} {
		t.Run(what, func(t *testing.T) {
			s.answer = func(int) (*collogs.ExportLogsServiceResponse, error) { return nil, c.server.err }
			s.reply = c.server.reply
			batch := redacttest.Records(t)
			err := openOTLP(t, s.config(what[:4]).OTLPConnection).Export(t.Context(), batch)
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), "198.51") {
				t.Errorf("the peer's words are in the error: %v", err)
			}
			var lost *Undelivered
			refused := errors.As(err, &lost) && lost.Refused["rejected"] == len(batch) && lost.Retry == nil
			if refused == c.retry || IsPermanent(err) {
				t.Errorf("retry: want %t, got error %v", c.retry, err)
			}
			if got := RetryDelay(err); got != c.wait {
				t.Errorf("wait: want %s, got %s", c.wait, got)
			}
		})
	}
}

func TestRetryAfterHeader(t *testing.T) {
	soon := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	if got := retryAfterHeader(soon); got < 80*time.Second || got > 90*time.Second {
		t.Errorf("%s: want 90 s, got %s", soon, got)
	}
	for value, want := range map[string]time.Duration{
		"": 0, "12": 12 * time.Second, "-3": 0, "1.5": 0, "99999999999999": 24 * time.Hour, "999999999999999999999999": 0,
	} {
		if got := retryAfterHeader(value); got != want {
			t.Errorf("%q: want %s, got %s", value, want, got)
		}
	}
}

// No receiver can silence us for good, and a gateway's 202 is a success.
func TestOTLPWaitIsBounded(t *testing.T) {
	s := newOTLPServer(t)
	codes := []int{429, 202}
	s.reply = func(n int, w http.ResponseWriter) bool {
		w.Header().Set("Retry-After", "86400")
		w.WriteHeader(codes[n])
		return true
	}
	e := openOTLP(t, s.config("http").OTLPConnection)
	if wait := RetryDelay(e.Export(t.Context(), redacttest.Records(t))); wait != time.Hour {
		t.Errorf("wait: want 1h, got %s", wait)
	}
	mustExport(t, e, redacttest.Records(t))
}

// A record too large for any request is refused and counted; those around it
// are delivered.
func TestOTLPOversize(t *testing.T) {
	s := newOTLPServer(t)
	e := openOTLP(t, s.config("grpc").OTLPConnection)
	records := redacttest.Policy(t, redact.RevealProfile).Apply(nil, redacttest.Events())
	var sizes []int
	for i := range records {
		sizes = append(sizes, len(encodeAll(t, newOTLPEncoder(), records[i:i+1])))
	}
	most := 0
	for _, n := range sizes { // where sizes leave a gap, it is plain which records fit
		if !slices.ContainsFunc(sizes, func(o int) bool { return o > n && o <= n+2*tagsAndLengths }) && n < slices.Max(sizes) {
			most = n + tagsAndLengths
		}
	}
	var want []byte
	large := 0
	for i, n := range sizes {
		if n > most {
			large++
			continue
		}
		want = appendOracle(want, &records[i])
	}
	if large == 0 || large == len(records) {
		t.Fatalf("no gap in the sizes %d", sizes)
	}
	e.link.config.MaxRequestBytes = bytesize.Size(most) // less than Validate admits
	var lost *Undelivered
	if err := e.Export(t.Context(), records); !errors.As(err, &lost) || lost.Retry != nil {
		t.Fatalf("error: %v", err)
	}
	if got := lost.Refused["oversize"]; got != large {
		t.Errorf("refused: want %d, got %d", large, got)
	}
	if !bytes.Equal(want, s.taken()) {
		t.Error("not every other record is delivered, once and in order")
	}
}

// Records that a receiver rejects are counted and not sent again.
func TestOTLPPartialSuccess(t *testing.T) {
	for _, protocol := range []string{"grpc", "http"} {
		t.Run(protocol, func(t *testing.T) {
			s := newOTLPServer(t)
			rejected := []int64{3, 0, 1 << 40, -5}
			s.answer = func(n int) (*collogs.ExportLogsServiceResponse, error) {
				return &collogs.ExportLogsServiceResponse{PartialSuccess: &collogs.ExportLogsPartialSuccess{
					RejectedLogRecords: rejected[n], ErrorMessage: "198.51.100.199",
				}}, nil
			}
			e := openOTLP(t, s.config(protocol).OTLPConnection)
			for i, want := range []int{3, 0, 10, 0} {
				err := e.Export(t.Context(), redacttest.Many(t, 0, 10))
				var lost *Undelivered
				got := 0
				if errors.As(err, &lost) {
					got = lost.Refused["rejected"]
					if len(lost.Retry) > 0 || strings.Contains(err.Error(), "198.51") {
						t.Errorf("error: %v", err)
					}
				} else if err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("rejected %d: want %d, got %d", rejected[i], want, got)
				}
			}
			if e.link.partial.Load() != 4 {
				t.Errorf("partial successes: want 4, got %d", e.link.partial.Load())
			}
		})
	}
}

// A batch larger than a request goes out in several; what comes after a failed
// one is not sent, so that the order holds.
func TestOTLPSplits(t *testing.T) {
	for _, protocol := range []string{"grpc", "http"} {
		t.Run(protocol, func(t *testing.T) {
			s := newOTLPServer(t)
			conn := s.config(protocol).OTLPConnection
			conn.MaxRequestBytes = minOTLPRequest
			e := openOTLP(t, conn)
			batch := redacttest.Many(t, 0, 1000)
			s.answer = func(n int) (*collogs.ExportLogsServiceResponse, error) {
				if n == 2 {
					return nil, status.Error(codes.Unavailable, "")
				}
				return nil, nil
			}
			s.reply = func(n int, w http.ResponseWriter) bool {
				if n == 2 {
					w.WriteHeader(503)
				}
				return n == 2
			}
			var lost *Undelivered
			if err := e.Export(t.Context(), batch); !errors.As(err, &lost) || len(lost.Refused) > 0 {
				t.Fatalf("error: %v", err)
			}
			if len(lost.Retry) == 0 || lost.Retry[0] == 0 || lost.Retry[len(lost.Retry)-1] != len(batch)-1 {
				t.Fatalf("to be retried: %d of %d", len(lost.Retry), len(batch))
			}
			mustExport(t, e, batch[lost.Retry[0]:])
			var want []byte
			for i := range batch {
				want = appendOracle(want, &batch[i])
			}
			if !bytes.Equal(want, s.taken()) {
				t.Error("not each record once, in order")
			}
			for _, r := range s.requests {
				if n := proto.Size(r); n > minOTLPRequest {
					t.Errorf("a request has %d bytes", n)
				}
			}
		})
	}
}

// A receiver that does not answer holds Export no longer than the timeout, nor
// than its context.
func TestOTLPTimeout(t *testing.T) {
	for _, protocol := range []string{"grpc", "http"} {
		t.Run(protocol, func(t *testing.T) {
			s := newOTLPServer(t)
			hang := make(chan struct{})
			s.answer = func(int) (*collogs.ExportLogsServiceResponse, error) { <-hang; return nil, nil }
			s.reply = func(int, http.ResponseWriter) bool { <-hang; return true }
			defer close(hang)
			conn := s.config(protocol).OTLPConnection
			conn.Timeout = 50 * time.Millisecond
			e := openOTLP(t, conn)
			if err := e.Export(t.Context(), redacttest.Records(t)); err == nil || IsPermanent(err) || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error after the timeout: %v", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if err := e.Export(ctx, redacttest.Records(t)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error after the context's end: %v", err)
			}
		})
	}
}

// SIGHUP reads secrets again; one that others may read is refused, and the old
// one stays in force.
func TestOTLPReopen(t *testing.T) {
	for _, protocol := range []string{"grpc", "http"} {
		t.Run(protocol, func(t *testing.T) {
			s := newOTLPServer(t)
			path := t.TempDir() + "/token"
			writeFile(t, path, "first\n", 0o600)
			conn := s.config(protocol).OTLPConnection
			conn.HeadersFiles = map[string]string{"Authorization": path}
			e := openOTLP(t, conn)
			batch := redacttest.Records(t)
			mustExport(t, e, batch)
			writeFile(t, path, "second\n", 0o600)
			mustExport(t, e, batch)
			if err := e.Reopen(); err != nil {
				t.Fatal(err)
			}
			mustExport(t, e, batch)
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := e.Reopen(); err == nil || strings.Contains(err.Error(), "second") {
				t.Errorf("error of a file that others may read: %v", err)
			}
			mustExport(t, e, batch)
			if d := cmp.Diff([]string{"first", "first", "second", "second"}, s.headers); d != "" {
				t.Errorf("secrets (-want +got):\n%s", d)
			}
		})
	}
}

func TestOTLPConfig(t *testing.T) {
	for want, change := range map[string]func(*OTLPConnection){
		"endpoint is missing":                    func(c *OTLPConnection) { c.Endpoint = "" },
		"grpc wants host:port":                   func(c *OTLPConnection) { c.Endpoint = "https://example.com:4317" },
		"want https://host:port":                 func(c *OTLPConnection) { c.Protocol, c.Endpoint = "http", "http://example.com" },
		"want http://host:port":                  func(c *OTLPConnection) { c.Protocol, c.Endpoint, c.Insecure = "http", "https://example.com", true },
		`protocol "udp": want grpc or http`:      func(c *OTLPConnection) { c.Protocol = "udp" },
		`compression "lz4"`:                      func(c *OTLPConnection) { c.Compression = "lz4" },
		"timeout 0s":                             func(c *OTLPConnection) { c.Timeout = 0 },
		"max_request_bytes 1KiB":                 func(c *OTLPConnection) { c.MaxRequestBytes = 1 << 10 },
		"insecure and tls":                       func(c *OTLPConnection) { c.Insecure, c.TLS.CAFile = true, "ca.pem" },
		"cert_file and key_file go together":     func(c *OTLPConnection) { c.TLS.CertFile = "cert.pem" },
		"their secrets would go in clear":        func(c *OTLPConnection) { c.Insecure, c.HeadersFiles = true, map[string]string{"a": "b"} },
		"content-type is not yours to set":       func(c *OTLPConnection) { c.Headers = map[string]string{"content-type": "b"} },
		"a-bin is not yours to set":              func(c *OTLPConnection) { c.Headers = map[string]string{"a-bin": "b"} },
		`"a b" is no name of a header`:           func(c *OTLPConnection) { c.Headers = map[string]string{"a b": "b"} },
		"a: its value holds what a header can't": func(c *OTLPConnection) { c.Headers = map[string]string{"a": "b\r\nc: d"} },
		"a is in headers_files, too": func(c *OTLPConnection) {
			c.Headers, c.HeadersFiles = map[string]string{"a": "b"}, map[string]string{"A": "f"}
		},
	} {
		c := defaultOTLP()
		c.Endpoint = "example.com:4317"
		if err := c.Validate(); err != nil {
			t.Fatalf("the default: %v", err)
		}
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error: want %q in it, got %v", want, err)
		}
	}
}

// A receiver that answers before it has read a request does not get the next
// one's bytes mixed in: the buffer is not used again.
func TestOTLPEarlyAnswer(t *testing.T) {
	early := true
	kept := make(chan []byte, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if early {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, _ := io.ReadAll(r.Body)
		kept <- body
	}))
	defer server.Close()
	conn := defaultOTLP()
	conn.Protocol, conn.Endpoint, conn.Insecure, conn.Compression = "http", server.URL, true, "none"
	e := openOTLP(t, conn)
	large := redacttest.Many(t, 0, 5000) // more than socket buffers hold
	if err := e.Export(t.Context(), large); err == nil {
		t.Fatal("no error")
	}
	body := &bodyReader{from: bytes.NewReader(make([]byte, 100))}
	if n, err := body.Read(make([]byte, 60)); n != 60 || err != nil || body.isRead.Load() {
		t.Errorf("after %d of 100 bytes: read %t, %v", n, body.isRead.Load(), err)
	}
	if n, err := body.Read(make([]byte, 60)); n != 40 || err != nil || !body.isRead.Load() {
		t.Errorf("after the last %d bytes: read %t, %v", n, body.isRead.Load(), err)
	}
	early = false
	few := redacttest.Many(t, 7, 3)
	mustExport(t, e, few)
	wantRequest(t, <-kept, few)
}
