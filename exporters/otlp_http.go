package exporters

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// otlpHTTP posts requests that are encoded already.
type otlpHTTP struct {
	client  *http.Client
	url     string
	headers http.Header
	buffers *otlpBuffers
	packer  packer
}

// packer compresses whole requests.
type packer interface {
	io.WriteCloser
	Reset(io.Writer)
}

func newOTLPHTTP(l *otlpLink) *otlpHTTP {
	h := &otlpHTTP{
		client:  &http.Client{Transport: otlpTransport(l.tls, &l.connects), CheckRedirect: noRedirect},
		url:     strings.TrimSuffix(l.config.Endpoint, "/") + l.signal.path,
		headers: http.Header{},
		buffers: &l.buffers,
	}
	for name, value := range l.headers {
		h.headers.Set(name, value)
	}
	h.headers.Set("Content-Type", "application/x-protobuf")
	h.headers.Set("User-Agent", product+"/"+version)
	switch l.config.Compression {
	case "gzip":
		h.packer, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	case "zstd":
		h.packer, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1)) // the option is valid
	}
	if h.packer != nil {
		h.headers.Set("Content-Encoding", l.config.Compression)
	}
	return h
}

// otlpTransport counts the connections that it makes.
func otlpTransport(tlsConf *tls.Config, connects *atomic.Uint64) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err == nil {
				connects.Add(1)
			}
			return conn, err
		},
		TLSClientConfig:     tlsConf,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // of answers, which are short
	}
}

// noRedirect keeps headers and events from going where nobody sent them.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// send delivers one request, and gives its buffer back when the transport no
// longer reads it.
func (h *otlpHTTP) send(ctx context.Context, request *[]byte) (reply otlpReply, err error) {
	if h.packer != nil {
		packed := h.buffers.Get(0)
		h.packer.Reset((*buffer)(packed))
		h.packer.Write(*request) // a buffer takes everything
		h.packer.Close()
		h.buffers.Put(request)
		request = packed
	}
	body := &bodyReader{from: bytes.NewReader(*request)}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, body)
	if err != nil {
		return reply, err
	}
	req.ContentLength = int64(len(*request))
	req.Header = h.headers.Clone()
	res, err := h.client.Do(req)
	if err != nil {
		return reply, &otlpError{what: unreachable(err), retry: true, late: errors.Is(err, context.DeadlineExceeded)}
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if body.isRead.Load() {
		h.buffers.Put(request)
	}
	if res.StatusCode/100 != 2 { // the specification says 200, but gateways answer 202, too
		return reply, explainHTTP(res)
	}
	if err != nil { // taken, perhaps: a second delivery is the lesser evil
		return reply, &otlpError{what: "no answer: " + unreachable(err), retry: true}
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/x-protobuf") {
		err = reply.parse(answer)
	}
	return reply, err
}

// bodyReader tells when all was read, after which the transport holds none of
// the bytes. It shows no other method of bytes.Reader, whose WriteTo would hand
// the bytes out.
type bodyReader struct {
	from   *bytes.Reader
	isRead atomic.Bool
}

func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.from.Len() == 0 {
		b.isRead.Store(true)
	}
	return n, err
}

// isBroken is false: the transport drops connections that broke.
func (h *otlpHTTP) isBroken() bool { return false }

func (h *otlpHTTP) close() error {
	h.client.CloseIdleConnections()
	return nil
}

// explainHTTP turns a status into what is to be done. Beyond what the
// specification lets be sent again, that is what an operator can mend: a wrong
// password, or a wrong path.
func explainHTTP(res *http.Response) error {
	e := &otlpError{what: fmt.Sprintf("HTTP status %d", res.StatusCode)}
	switch code := res.StatusCode; code {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusProxyAuthRequired, http.StatusRequestTimeout:
		e.retry = true
	default:
		e.retry = code >= 300 && code < 400 // nobody follows it: the endpoint is wrong
	}
	if e.retry {
		e.wait = retryAfterHeader(res.Header.Get("Retry-After"))
	}
	return e
}

// retryAfterHeader reads the header, which has seconds or a date.
func retryAfterHeader(value string) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(max(0, min(seconds, 24*60*60))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
