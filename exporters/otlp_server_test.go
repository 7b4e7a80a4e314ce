package exporters

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// otlpServer is a receiver of logs by gRPC and HTTP that answers as it is told.
type otlpServer struct {
	collogs.UnimplementedLogsServiceServer
	t                  *testing.T
	grpcAddr, httpAddr string

	mu       sync.Mutex
	requests []*collogs.ExportLogsServiceRequest
	headers  []string                                                // of "authorization", by request
	answer   func(n int) (*collogs.ExportLogsServiceResponse, error) // of the n-th request, by gRPC
	reply    func(n int, w http.ResponseWriter) bool                 // by HTTP; true: it has answered
	seen     int
	stop     func()
}

func newOTLPServer(t *testing.T) *otlpServer {
	t.Helper()
	s := &otlpServer{t: t, grpcAddr: "127.0.0.1:0", httpAddr: "127.0.0.1:0"}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

// start listens, again at the addresses that it had.
func (s *otlpServer) start() {
	s.t.Helper()
	forGRPC, err := net.Listen("tcp", s.grpcAddr)
	if err != nil {
		s.t.Fatal(err)
	}
	forHTTP, err := net.Listen("tcp", s.httpAddr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.grpcAddr, s.httpAddr = forGRPC.Addr().String(), forHTTP.Addr().String()
	g, h := grpc.NewServer(), &http.Server{Handler: s}
	collogs.RegisterLogsServiceServer(g, s)
	var running sync.WaitGroup
	running.Go(func() { g.Serve(forGRPC) })
	running.Go(func() { h.Serve(forHTTP) })
	s.stop = sync.OnceFunc(func() {
		g.Stop()
		h.Close()
		running.Wait()
	})
}

// Export is the log service.
func (s *otlpServer) Export(ctx context.Context, r *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen++
	if s.answer != nil {
		res, err := s.answer(s.seen - 1)
		if err != nil {
			return nil, err
		}
		if res != nil {
			s.take(r, metadata.ValueFromIncomingContext(ctx, "authorization"))
			return res, nil
		}
	}
	s.take(r, metadata.ValueFromIncomingContext(ctx, "authorization"))
	return &collogs.ExportLogsServiceResponse{}, nil
}

func (s *otlpServer) take(r *collogs.ExportLogsServiceRequest, authorization []string) {
	s.requests = append(s.requests, r)
	s.headers = append(s.headers, authorization...)
}

func (s *otlpServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, "", http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	raw, err := io.ReadAll(body)
	var request collogs.ExportLogsServiceRequest
	if err != nil || proto.Unmarshal(raw, &request) != nil || r.URL.Path != "/v1/logs" || r.Method != http.MethodPost {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen++
	if s.reply != nil && s.reply(s.seen-1, w) {
		return
	}
	s.take(&request, r.Header.Values("authorization"))
	w.Header().Set("Content-Type", "application/x-protobuf")
	if s.answer != nil {
		if res, err := s.answer(s.seen - 1); err == nil && res != nil {
			b, _ := proto.Marshal(res)
			w.Write(b)
		}
	}
}

// taken returns the log records that arrived, each with its resource.
func (s *otlpServer) taken() (all []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		all = appendDecoded(s.t, all, r)
	}
	return all
}

func (s *otlpServer) config(protocol string) *OTLPConfig {
	c := &OTLPConfig{Type: "otlp", OTLPConnection: defaultOTLP()}
	c.Protocol, c.Endpoint, c.Insecure = protocol, s.grpcAddr, true
	if protocol == "http" {
		c.Endpoint = "http://" + s.httpAddr
	}
	return c
}

func otlpPeer(t *testing.T) peer {
	s := newOTLPServer(t)
	return peer{
		config:    s.config("grpc"),
		delivered: s.taken,
		fail:      func() { s.stop() },
		heal: func() {
			s.start()
			t.Cleanup(func() { s.stop() })
		},
		encoded: func(batch []redact.Record) (all []byte) {
			for i := range batch {
				all = appendOracle(all, &batch[i])
			}
			return all
		},
	}
}
