package exporters

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fanlight-io/fanlight/redact"
)

// SyslogConfig configures an exporter that sends messages of RFC 5424.
type SyslogConfig struct {
	Type string `yaml:"type"`
	// Network is tcp, tls, unix (a stream) or unixgram.
	Network string `yaml:"network"`
	// Address is host:port, or the path of a socket.
	Address string `yaml:"address"`
	// Framing is octet_counting (RFC 6587, section 3.4.1) or newline; datagrams
	// need none.
	Framing string `yaml:"framing"`
	// Facility is one of kern to local7; local0 by default.
	Facility string `yaml:"facility"`
	// AppName is the application's name in the header.
	AppName string `yaml:"app_name"`
	// Format is what the message itself is; native by default.
	Format Format `yaml:"format"`
	// StructuredData puts the fields into structured data instead of Format.
	StructuredData bool `yaml:"structured_data"`
	// EnterpriseID stands in the name of the structured data. The default is the
	// number that RFC 5612 reserves for examples.
	EnterpriseID int `yaml:"enterprise_id"`
	// MaxBytes is how long a message may be. RFC 5425 asks receivers to take
	// 8192 bytes.
	MaxBytes int `yaml:"max_bytes"`
	// ConnectTimeout bounds connecting and the TLS handshake.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	TLS            TLSConfig     `yaml:"tls"`
}

func defaultSyslog() *SyslogConfig {
	return &SyslogConfig{
		Network: "tcp", Framing: "octet_counting", Facility: "local0", AppName: product,
		EnterpriseID: 32473, MaxBytes: 8192, ConnectTimeout: 10 * time.Second,
	}
}

// minMessage has room for the longest header and a little more.
const minMessage = 480

// Validate checks everything but the peer and the files.
func (c *SyslogConfig) Validate() error {
	switch {
	case !slices.Contains([]string{"tcp", "tls", "unix", "unixgram"}, c.Network):
		return fmt.Errorf("network %q: want tcp, tls, unix or unixgram", c.Network)
	case c.Address == "":
		return errors.New("address is missing")
	case c.Framing != "octet_counting" && c.Framing != "newline":
		return fmt.Errorf("framing %q: want octet_counting or newline", c.Framing)
	case c.Network == "tls" && c.Framing != "octet_counting":
		return errors.New("framing newline: TLS needs octet_counting (RFC 5425)")
	case !slices.Contains(facilities, c.Facility):
		return fmt.Errorf("facility %q: want one of %s", c.Facility, strings.Join(facilities, ", "))
	case c.StructuredData && c.Format != "":
		return errors.New("format and structured_data: want one of them")
	case c.MaxBytes < minMessage:
		return fmt.Errorf("max_bytes %d: want %d or more", c.MaxBytes, minMessage)
	case c.ConnectTimeout <= 0:
		return fmt.Errorf("connect_timeout %s: want more than 0", c.ConnectTimeout)
	case c.EnterpriseID < 1:
		return fmt.Errorf("enterprise_id %d: want 1 or more", c.EnterpriseID)
	case c.TLS != (TLSConfig{}) && c.Network != "tls":
		return fmt.Errorf("tls: network is %s, not tls", c.Network)
	}
	if host, _, err := net.SplitHostPort(c.Address); (c.Network == "tcp" || c.Network == "tls") && (err != nil || host == "") {
		return fmt.Errorf("address %q: want host:port", c.Address)
	}
	if err := c.TLS.Validate(); err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	return c.Format.Validate()
}

// Open checks the files of TLS. It does not connect: the first batch does.
func (c *SyslogConfig) Open() (Exporter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &syslogger{config: *c}
	s.message = newSyslogMessage(c, func() { s.truncated.Add(1) })
	if c.Network == "tls" {
		if _, err := c.TLS.load(); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
	}
	return s, nil
}

// syslogger sends each batch over one connection and connects anew after every
// error, so that a receiver sees no frame but whole ones and, last before the
// connection ends, perhaps a torn one, which it throws away.
//
// Delivery: a record is in the kernel's send buffer when Export returns nil.
// The protocol has no acknowledgement: what the peer had not read when the
// connection broke is lost.
type syslogger struct {
	config  SyslogConfig
	message *syslogMessage

	mu     sync.Mutex // Reopen comes from another goroutine
	conn   *syslogConn
	closed bool
	buf    []byte
	scrap  []byte

	connects, truncated atomic.Uint64
}

// Counts yields the counters that [Counter] promises.
func (s *syslogger) Counts() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		_ = yield("connected", s.connects.Load()) && yield("truncated", s.truncated.Load())
	}
}

func (s *syslogger) Export(ctx context.Context, batch []redact.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if len(batch) == 0 {
		return nil
	}
	if err := s.connect(ctx); err != nil {
		return fmt.Errorf("connect to syslog: %w", err)
	}
	send := s.sendStream
	if s.config.Network == "unixgram" {
		send = s.sendDatagrams
	}
	err := s.conn.bounded(ctx, func() error { return send(batch) })
	if err == nil {
		return nil
	}
	var part *Undelivered
	if !errors.As(err, &part) || len(part.Retry) > 0 {
		s.disconnect()
	}
	return fmt.Errorf("send to syslog: %w", err)
}

// connect makes sure that there is a connection whose other end is still there.
func (s *syslogger) connect(ctx context.Context) error {
	if s.conn != nil && s.conn.isAlive() {
		return nil
	}
	s.disconnect()
	conn, err := dialSyslog(ctx, &s.config)
	if err != nil {
		return err
	}
	s.conn = conn
	s.connects.Add(1)
	return nil
}

// disconnect closes the connection, if there is one.
func (s *syslogger) disconnect() {
	if s.conn != nil {
		s.conn.close()
		s.conn = nil
	}
}

// sendStream writes the batch as frames, many at a time.
func (s *syslogger) sendStream(batch []redact.Record) error {
	s.buf = s.buf[:0]
	for i := range batch {
		s.buf = s.appendFrame(s.buf, &batch[i])
		if len(s.buf) >= streamBytes || i == len(batch)-1 {
			if _, err := s.conn.Write(s.buf); err != nil { // never short without an error
				return err
			}
			s.buf = s.buf[:0]
		}
	}
	return nil
}

// streamBytes is how much is written at once.
const streamBytes = 64 << 10

func (s *syslogger) appendFrame(dst []byte, r *redact.Record) []byte {
	if s.config.Framing == "newline" {
		return append(s.message.append(dst, r), '\n')
	}
	s.scrap = s.message.append(s.scrap[:0], r)
	dst = append(strconv.AppendInt(dst, int64(len(s.scrap)), 10), ' ')
	return append(dst, s.scrap...)
}

// sendDatagrams writes one message at a time, so it is known which ones went
// out. One that is larger than the socket ever takes is refused.
func (s *syslogger) sendDatagrams(batch []redact.Record) error {
	var lost Undelivered
	for i := range batch {
		s.buf = s.message.append(s.buf[:0], &batch[i])
		_, err := s.conn.Write(s.buf)
		if errors.Is(err, syscall.EMSGSIZE) {
			lost.refuse("oversize", 1, err)
			continue
		}
		if err != nil {
			return lost.retryFrom(i, len(batch), err)
		}
	}
	if lost.Cause != nil {
		return &lost
	}
	return nil
}

// Reopen connects anew, with certificates read again.
func (s *syslogger) Reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.disconnect()
	return nil
}

func (s *syslogger) Close(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.disconnect()
	return nil
}
