package exporters

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
)

// receiver is a syslog receiver that reads only when asked to: what Export sent
// is in the kernel by then.
type receiver struct {
	t        *testing.T
	address  string
	listener *net.TCPListener
	conns    []net.Conn
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t, address: "127.0.0.1:0"}
	r.listen()
	t.Cleanup(r.close)
	return r
}

func (r *receiver) listen() {
	l, err := net.Listen("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.listener, r.address = l.(*net.TCPListener), l.Addr().String()
}

func (r *receiver) close() {
	r.listener.Close()
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}

// soon is how long to wait for what is there already.
func soon() time.Time { return time.Now().Add(30 * time.Millisecond) }

// read returns what has arrived, per connection.
func (r *receiver) read() (all [][]byte) {
	for {
		r.listener.SetDeadline(soon())
		c, err := r.listener.Accept()
		if err != nil {
			break
		}
		r.conns = append(r.conns, c)
	}
	for _, c := range r.conns {
		c.SetReadDeadline(soon())
		got, err := io.ReadAll(c)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !strings.Contains(err.Error(), "reset") {
			r.t.Fatal(err)
		}
		all = append(all, got)
	}
	return all
}

// frames splits octet-counted frames; the last one may be torn.
func frames(t *testing.T, stream []byte) (messages []string, torn bool) {
	t.Helper()
	for len(stream) > 0 {
		count, rest, ok := bytes.Cut(stream, []byte{' '})
		n, err := strconv.Atoi(string(count))
		if !ok || err != nil || n == 0 {
			t.Fatalf("no frame: %.40q", stream)
		}
		if len(rest) < n {
			return messages, true
		}
		messages, stream = append(messages, string(rest[:n])), rest[n:]
	}
	return messages, false
}

func syslogPeer(t *testing.T) peer {
	r := newReceiver(t)
	config := defaultSyslog()
	config.Type, config.Address, config.MaxBytes = "syslog", r.address, 1<<20
	return peer{
		config: config,
		delivered: func() (lines []byte) {
			for _, stream := range r.read() {
				messages, torn := frames(t, stream)
				for _, m := range messages {
					lines = append(append(lines, parse5424(t, m)[8]...), '\n')
				}
				if torn {
					t.Error("a frame is torn")
				}
			}
			return lines
		},
		fail: r.close,
		heal: r.listen,
	}
}

func openSyslog(t *testing.T, change func(*SyslogConfig)) *syslogger {
	t.Helper()
	c := defaultSyslog()
	change(c)
	e, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(context.Background()) })
	return e.(*syslogger)
}

// A receiver that stalls holds Export no longer than its context, in the middle
// of a frame; the next Export comes over a new connection, whole.
func TestSyslogStalledReceiver(t *testing.T) {
	r := newReceiver(t)
	s := openSyslog(t, func(c *SyslogConfig) { c.Address = r.address })
	many := redacttest.Many(t, 0, 40000) // more than socket buffers hold
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := s.Export(ctx, many); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error: want %v, got %v", context.DeadlineExceeded, err)
	}
	few := redacttest.Many(t, 0, 3)
	mustExport(t, s, few)
	streams := r.read()
	if len(streams) != 2 || s.connects.Load() != 2 {
		t.Fatalf("connections: want 2, got %d, counted %d", len(streams), s.connects.Load())
	}
	if messages, torn := frames(t, streams[0]); !torn || len(messages) == 0 || len(messages) == len(many) {
		t.Errorf("first connection: %d messages, torn: %t", len(messages), torn)
	}
	if messages, torn := frames(t, streams[1]); torn || len(messages) != len(few) {
		t.Errorf("second connection: %d messages, torn: %t", len(messages), torn)
	}
}

// A receiver that closes is noticed before the next batch, not after it.
func TestSyslogReconnects(t *testing.T) {
	r := newReceiver(t)
	s := openSyslog(t, func(c *SyslogConfig) { c.Address = r.address })
	total := 0
	for i := range 5 {
		mustExport(t, s, redacttest.Many(t, i, 1))
		for _, stream := range r.read() {
			messages, _ := frames(t, stream)
			total += len(messages)
		}
		r.close()
		r.listen()
	}
	if total != 5 || s.connects.Load() != 5 {
		t.Errorf("want 5 messages over 5 connections, got %d over %d", total, s.connects.Load())
	}
}

func TestSyslogReopen(t *testing.T) {
	r := newReceiver(t)
	s := openSyslog(t, func(c *SyslogConfig) { c.Address = r.address })
	for i := range 3 {
		mustExport(t, s, redacttest.Many(t, i, 1))
		if err := s.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(r.read()); got != 3 {
		t.Errorf("connections: want 3, got %d", got)
	}
	s.Close(t.Context())
	if err := s.Reopen(); !errors.Is(err, ErrClosed) {
		t.Errorf("reopen after close: got %v", err)
	}
}

func TestSyslogUnixStream(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := openSyslog(t, func(c *SyslogConfig) { c.Network, c.Address, c.Framing = "unix", path, "newline" })
	batch := redacttest.Records(t)
	mustExport(t, s, batch)
	s.Close(t.Context())
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for line := range strings.Lines(string(all)) {
		got = append(append(got, parse5424(t, strings.TrimSuffix(line, "\n"))[8]...), '\n')
	}
	if d := cmp.Diff(string(appendLines(nil, native{}, batch)), string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Datagrams: one message each; one that no datagram can hold is counted and the
// others arrive.
func TestSyslogUnixDatagrams(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	listen := func() *net.UnixConn {
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := listen()
	s := openSyslog(t, func(c *SyslogConfig) { c.Network, c.Address, c.MaxBytes = "unixgram", path, 1<<22 })
	events := redacttest.CanaryEvents()[6:9]
	events[1].Sources = slices.Repeat(events[1].Sources, 30000)
	batch := redacttest.Policy(t, redact.DefaultProfile).Apply(nil, events)
	receive := func(want ...int) {
		t.Helper()
		for _, i := range want {
			message := make([]byte, 1<<16)
			l.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, err := l.Read(message)
			if err != nil {
				t.Fatal(err)
			}
			if got := parse5424(t, string(message[:n]))[8]; got != string(batch[i].AppendJSON(nil)) {
				t.Errorf("message %d: got %.200s", i, got)
			}
		}
	}
	var part *Undelivered
	if err := s.Export(t.Context(), batch); !errors.As(err, &part) || part.Refused["oversize"] != 1 || len(part.Retry) != 0 {
		t.Errorf("a message that no datagram holds: %v", err)
	}
	receive(0, 2)
	l.Close()
	os.Remove(path)
	if err := s.Export(t.Context(), batch[:1]); err == nil || IsPermanent(err) {
		t.Errorf("without receiver: got %v", err)
	}
	l = listen()
	defer l.Close()
	mustExport(t, s, batch[:1])
	receive(0)
}

func TestSyslogConfigErrors(t *testing.T) {
	tests := []struct {
		change func(*SyslogConfig)
		want   string
	}{
		{func(c *SyslogConfig) { c.Network = "udp" }, `network "udp": want tcp, tls, unix or unixgram`},
		{func(c *SyslogConfig) { c.Address = "" }, "address is missing"},
		{func(c *SyslogConfig) { c.Address = "host" }, `address "host": want host:port`},
		{func(c *SyslogConfig) { c.Framing = "none" }, `framing "none": want octet_counting or newline`},
		{func(c *SyslogConfig) { c.Network, c.Framing = "tls", "newline" }, "framing newline: TLS needs octet_counting (RFC 5425)"},
		{func(c *SyslogConfig) { c.Facility = "local8" }, `facility "local8": want one of kern, user`},
		{func(c *SyslogConfig) { c.StructuredData, c.Format = true, CEF }, "format and structured_data: want one of them"},
		{func(c *SyslogConfig) { c.MaxBytes = 10 }, "max_bytes 10: want 480 or more"},
		{func(c *SyslogConfig) { c.ConnectTimeout = 0 }, "connect_timeout 0s: want more than 0"},
		{func(c *SyslogConfig) { c.EnterpriseID = 0 }, "enterprise_id 0: want 1 or more"},
		{func(c *SyslogConfig) { c.TLS.CAFile = "x" }, "tls: network is tcp, not tls"},
		{func(c *SyslogConfig) { c.Network, c.TLS.CertFile = "tls", "x" }, "tls: cert_file and key_file go together"},
		{func(c *SyslogConfig) { c.Network, c.TLS.CAFile = "tls", "/none" }, "tls: ca_file: open /none"},
		{func(c *SyslogConfig) { c.Format = "x" }, `format "x": want one of`},
	}
	for _, tt := range tests {
		c := defaultSyslog()
		c.Address = "192.0.2.1:601"
		tt.change(c)
		if _, err := c.Open(); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("want %q, got %v", tt.want, err)
		}
	}
}
