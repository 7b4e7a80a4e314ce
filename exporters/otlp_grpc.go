package exporters

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// gRPC wants both before its first use. Its own log would hold addresses and
// what peers write.
func init() {
	encoding.RegisterCompressor(&zstdCompressor{})
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
}

// otlpGRPC sends requests that are encoded already.
type otlpGRPC struct {
	method  string
	conn    *grpc.ClientConn
	headers metadata.MD
	buffers *otlpBuffers
	options []grpc.CallOption
	why     *handshakes
}

func newOTLPGRPC(l *otlpLink) (*otlpGRPC, error) {
	conn, why, err := dialOTLP(l)
	return &otlpGRPC{
		method: l.signal.method, conn: conn, why: why, headers: metadata.New(l.headers), buffers: &l.buffers,
		options: []grpc.CallOption{grpc.ForceCodecV2(otlpCodec{})},
	}, err
}

// dialOTLP prepares a connection, which the first call makes.
func dialOTLP(l *otlpLink) (*grpc.ClientConn, *handshakes, error) {
	why := &handshakes{TransportCredentials: insecure.NewCredentials(), last: new(atomic.Value)}
	if l.tls != nil {
		why.TransportCredentials = credentials.NewTLS(l.tls)
	}
	calls := []grpc.CallOption{grpc.MaxCallRecvMsgSize(maxReply), grpc.MaxCallSendMsgSize(1 << 30)}
	switch l.config.Compression {
	case "gzip":
		calls = append(calls, grpc.UseCompressor(gzip.Name))
	case "zstd":
		calls = append(calls, grpc.UseCompressor(zstdName))
	}
	conn, err := grpc.NewClient(l.config.Endpoint,
		grpc.WithTransportCredentials(why),
		grpc.WithDisableRetry(), // whoever calls an exporter has retries for all
		grpc.WithDisableServiceConfig(),
		grpc.WithUserAgent(product+"/"+version),
		grpc.WithStatsHandler(&connCounter{&l.connects}),
		grpc.WithDefaultCallOptions(calls...))
	return conn, why, err
}

// handshakes remembers why the last TLS handshake failed: the status of a call
// tells it in the peer's words only.
type handshakes struct {
	credentials.TransportCredentials
	last *atomic.Value // of string
}

func (h *handshakes) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := h.TransportCredentials.ClientHandshake(ctx, authority, raw)
	h.last.Store("")
	if err != nil {
		h.last.Store(": " + unreachable(err))
	}
	return conn, info, err
}

// Clone keeps the memory shared: gRPC works with copies.
func (h *handshakes) Clone() credentials.TransportCredentials {
	return &handshakes{h.TransportCredentials.Clone(), h.last}
}

func (h *handshakes) String() string {
	why, _ := h.last.Load().(string)
	return why
}

// connCounter counts connections.
type connCounter struct{ connects *atomic.Uint64 }

func (connCounter) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (connCounter) HandleRPC(context.Context, stats.RPCStats)                         {}
func (connCounter) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (c connCounter) HandleConn(_ context.Context, s stats.ConnStats) {
	if _, begins := s.(*stats.ConnBegin); begins {
		c.connects.Add(1)
	}
}

// send delivers one request. The buffer is gRPC's from then on, until it puts it
// back.
func (g *otlpGRPC) send(ctx context.Context, request *[]byte) (otlpReply, error) {
	var reply otlpReply
	err := g.conn.Invoke(metadata.NewOutgoingContext(ctx, g.headers), g.method, &otlpMessage{request, g.buffers}, &reply, g.options...)
	if err == nil {
		return reply, nil
	}
	return reply, g.why.explain(err)
}

// isBroken reports whether only a new connection helps. gRPC makes one by
// itself, but waits longer and longer before it does, and so would every call.
func (g *otlpGRPC) isBroken() bool { return g.conn.GetState() != connectivity.Ready }

func (g *otlpGRPC) close() error { return g.conn.Close() }

// explain turns a status into what is to be done. Beyond what the specification
// lets be sent again, that is what an operator can mend: a wrong password, or a
// server that is something else.
func (h *handshakes) explain(err error) error {
	s := status.Convert(err)
	e := &otlpError{what: "status " + s.Code().String()}
	switch s.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.DataLoss:
		e.retry, e.late = true, s.Code() == codes.DeadlineExceeded
	case codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented, codes.NotFound:
		e.retry = true
	case codes.Unavailable:
		e.retry = true
		e.what += h.String()
	}
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			e.wait = info.GetRetryDelay().AsDuration()
			e.retry = e.retry || s.Code() == codes.ResourceExhausted
		}
	}
	return e
}

// otlpMessage is an encoded message and where its buffer belongs.
type otlpMessage struct {
	encoded *[]byte
	buffers *otlpBuffers
}

// otlpCodec passes requests on as they are.
type otlpCodec struct{}

func (otlpCodec) Name() string { return "proto" }

func (otlpCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*otlpMessage)
	if !ok {
		return nil, errors.New("not an encoded message")
	}
	return mem.BufferSlice{mem.NewBuffer(m.encoded, m.buffers)}, nil
}

func (otlpCodec) Unmarshal(data mem.BufferSlice, v any) error {
	reply, ok := v.(*otlpReply)
	if !ok {
		return errors.New("not a reply")
	}
	return reply.parse(data.Materialize())
}
