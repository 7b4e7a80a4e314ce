package exporters

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// otlpError is a request that failed. Its text has fixed words and the status
// only: what peers write could echo what we sent.
type otlpError struct {
	what  string
	retry bool          // the specification lets it be tried again
	late  bool          // there was no answer in time
	wait  time.Duration // how long the peer asked to be left alone, or 0
}

func (e *otlpError) Error() string { return e.what }

// otlpReply is what a peer answers to a request that it took.
type otlpReply struct {
	rejected uint64 // records or data points, of the request
	warned   bool   // the peer had something to say
}

// Numbers of fields in the replies of the log and the metric service, which are
// alike.
const (
	replyPartialSuccess = 1
	partialRejected     = 1
	partialMessage      = 2
)

// maxReply bounds what is read of a peer's answer.
const maxReply = 64 << 10

// parse reads an encoded reply.
func (r *otlpReply) parse(b []byte) error {
	return eachField(b, func(n protowire.Number, _ uint64, content []byte) error {
		if n != replyPartialSuccess {
			return nil
		}
		return eachField(content, func(n protowire.Number, v uint64, content []byte) error {
			switch n {
			case partialRejected:
				if int64(v) > 0 {
					r.rejected = v
				}
			case partialMessage:
				r.warned = len(content) > 0
			}
			return nil
		})
	})
}

// eachField calls visit for each field of a message.
func eachField(b []byte, visit func(n protowire.Number, v uint64, content []byte) error) error {
	for len(b) > 0 {
		n, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return errReply
		}
		b = b[size:]
		var v uint64
		var content []byte
		switch typ {
		case protowire.VarintType:
			v, size = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			content, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(n, typ, b)
		}
		if size < 0 {
			return errReply
		}
		b = b[size:]
		if err := visit(n, v, content); err != nil {
			return err
		}
	}
	return nil
}

var errReply = errors.New("the answer is no message of the protocol")

// unreachable says in fixed words why a connection could not be made or broke.
// Texts of certificates are the peer's, so they are left out.
func unreachable(err error) string {
	var (
		unknown  x509.UnknownAuthorityError
		name     x509.HostnameError
		invalid  x509.CertificateInvalidError
		op       *net.OpError
		record   tls.RecordHeaderError
		dns      *net.DNSError
		verified *tls.CertificateVerificationError
		errno    syscall.Errno
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.As(err, &unknown):
		return "certificate of an unknown authority"
	case errors.As(err, &name):
		return "certificate of another name"
	case errors.As(err, &invalid), errors.As(err, &verified):
		return "certificate is not valid"
	case errors.As(err, &op) && op.Op == "remote error": // crypto/tls has a text for each alert
		return "TLS alert: " + op.Err.Error()
	case errors.As(err, &record):
		return "the peer does not speak TLS"
	case errors.As(err, &dns):
		return "name does not resolve"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the peer closed the connection"
	case errors.As(err, &errno):
		return errno.Error()
	}
	return "connection failed"
}
