package exporters

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// syslogConn is a connection that notices when its other end is gone, although
// syslog receivers never say anything.
type syslogConn struct {
	net.Conn
	raw    syscall.RawConn
	stream bool
	gone   atomic.Bool
}

func dialSyslog(ctx context.Context, c *SyslogConfig) (*syslogConn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	defer cancel()
	network := c.Network
	if network == "tls" {
		network = "tcp"
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, c.Address)
	if err != nil {
		return nil, err
	}
	s := &syslogConn{Conn: conn, stream: network != "unixgram"}
	if sc, ok := conn.(syscall.Conn); ok {
		if s.raw, err = sc.SyscallConn(); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	if c.Network == "tls" {
		if s.Conn, err = startTLS(ctx, conn, c); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	if s.stream {
		go s.watch()
	}
	return s, nil
}

func startTLS(ctx context.Context, conn net.Conn, c *SyslogConfig) (net.Conn, error) {
	config, err := c.TLS.load()
	if err != nil {
		return nil, err
	}
	if config.ServerName == "" {
		if config.ServerName, _, err = net.SplitHostPort(c.Address); err != nil {
			return nil, err
		}
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secure, awaitVerdict(secure, c)
}

// verdictTimeout is how long a receiver has to refuse our certificate.
const verdictTimeout = 300 * time.Millisecond

// awaitVerdict gives the receiver time to refuse our certificate: with TLS 1.3
// our side of the handshake is done before it looks at it, and what was sent
// meanwhile would be lost in silence.
func awaitVerdict(conn *tls.Conn, c *SyslogConfig) error {
	if c.TLS.CertFile == "" || conn.ConnectionState().Version < tls.VersionTLS13 {
		return nil
	}
	if err := conn.SetReadDeadline(time.Now().Add(verdictTimeout)); err != nil {
		return err
	}
	var first [1]byte
	if _, err := conn.Read(first[:]); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("after the handshake: %w", err)
	}
	return conn.SetReadDeadline(time.Time{})
}

// watch reads until the other end closes or the connection is closed here.
func (s *syslogConn) watch() {
	io.Copy(io.Discard, s.Conn)
	s.gone.Store(true)
}

// isAlive reports whether the other end is still there, as far as its kernel
// has told.
func (s *syslogConn) isAlive() bool {
	if s.gone.Load() {
		return false
	}
	if !s.stream || s.raw == nil {
		return true
	}
	alive := true
	var first [1]byte
	err := s.raw.Control(func(fd uintptr) {
		n, _, err := unix.Recvfrom(int(fd), first[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		alive = n > 0 || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
	})
	return err == nil && alive
}

// bounded runs send, and makes its writes fail when ctx is done.
func (s *syslogConn) bounded(ctx context.Context, send func() error) error {
	if err := s.SetWriteDeadline(time.Time{}); err != nil { // one may be left of a context that ended too late
		return err
	}
	stop := context.AfterFunc(ctx, func() { s.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	err := send()
	if err != nil && ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	return err
}

// closeTimeout bounds the farewell of TLS.
const closeTimeout = time.Second

func (s *syslogConn) close() {
	s.SetWriteDeadline(time.Now().Add(closeTimeout))
	s.Conn.Close()
}
