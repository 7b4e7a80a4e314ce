package exporters

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/fanlight-io/fanlight/redact"
	"golang.org/x/sys/unix"
)

// StdoutConfig configures an exporter that writes lines to the standard output.
type StdoutConfig struct {
	Type string `yaml:"type"`
	// Format is how records are written; native by default.
	Format Format `yaml:"format"`
}

// Validate checks the format.
func (c *StdoutConfig) Validate() error { return c.Format.Validate() }

// Open returns the exporter. Closing it leaves the standard output open.
func (c *StdoutConfig) Open() (Exporter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	info, err := os.Stdout.Stat()
	if err != nil {
		return nil, fmt.Errorf("standard output: %w", err)
	}
	s := &stdout{enc: c.Format.encoder(), fd: int(os.Stdout.Fd()), piece: pipeBytes}
	if info.Mode().IsRegular() {
		s.piece = fileBytes
	}
	return s, nil
}

// stdout writes lines to a descriptor that it shares with others and so must
// not make non-blocking. It writes only when poll says that there is room, in
// pieces of whole lines that a pipe with room takes at once, so that a stalled
// reader can't hold Export beyond its context.
//
// Delivery: a record is in the pipe or file when Export returns nil.
type stdout struct {
	enc    encoder
	fd     int
	piece  int // bytes per write
	closed bool
	buf    []byte
	rest   []byte // of a line that an error tore; goes out before anything else
}

const (
	pipeBytes  = 4096    // PIPE_BUF
	fileBytes  = 1 << 20 // a file never stalls
	pollMillis = 50      // how late a done context may be noticed
)

func (s *stdout) Export(ctx context.Context, batch []redact.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed {
		return ErrClosed
	}
	if len(batch) == 0 {
		return nil
	}
	s.buf = append(s.buf[:0], s.rest...)
	s.buf = appendLines(s.buf, s.enc, batch)
	n, err := s.write(ctx, s.buf)
	s.rest = s.rest[:0]
	if err != nil {
		s.rest = append(s.rest, tornRest(s.buf, n)...)
		return fmt.Errorf("write to standard output: %w", err)
	}
	return nil
}

// tornRest returns what is missing of the line that ends behind n bytes.
func tornRest(lines []byte, n int) []byte {
	if n == 0 || lines[n-1] == '\n' {
		return nil
	}
	rest, _, _ := bytes.Cut(lines[n:], []byte{'\n'})
	return lines[n : n+len(rest)+1]
}

func (s *stdout) write(ctx context.Context, lines []byte) (n int, err error) {
	for n < len(lines) {
		if err := waitWritable(ctx, s.fd); err != nil {
			return n, err
		}
		m, err := unix.Write(s.fd, pieceOf(lines[n:], s.piece))
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

// pieceOf returns as many whole lines as fit in size bytes, or the beginning of
// a line that doesn't.
func pieceOf(lines []byte, size int) []byte {
	if len(lines) <= size {
		return lines
	}
	if end := bytes.LastIndexByte(lines[:size], '\n'); end >= 0 {
		return lines[:end+1]
	}
	return lines[:size]
}

func waitWritable(ctx context.Context, fd int) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(fds, pollMillis)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if n > 0 { // room, or an error that write will name
			return nil
		}
	}
}

func (s *stdout) Close(context.Context) error {
	s.closed = true
	return nil
}
