package exporters

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// newOTLPMetricEncoder returns the SDK's exporter by HTTP, whose client is ours:
// so it encodes, and the link carries, by either protocol and with the same TLS,
// secrets, compression and errors as logs have.
func newOTLPMetricEncoder(o *OTLPMetrics) (*otlpmetrichttp.Exporter, error) {
	return otlpmetrichttp.New(context.Background(),
		otlpmetrichttp.WithEndpointURL("https://carried.invalid"+otlpMetricsSignal.path), // nothing is looked up
		otlpmetrichttp.WithHTTPClient(&http.Client{Transport: otlpCarrier{o}}),
		otlpmetrichttp.WithHeaders(map[string]string{}),
		otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression),
		otlpmetrichttp.WithMaxRequestSize(1<<30),
		otlpmetrichttp.WithTimeout(o.patience()),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}))
}

// otlpCarrier hands encoded requests to the link.
type otlpCarrier struct{ o *OTLPMetrics }

// RoundTrip delivers the body, and answers with status 200 if it was taken.
func (c otlpCarrier) RoundTrip(req *http.Request) (*http.Response, error) {
	c.o.mu.Lock()
	defer c.o.mu.Unlock()
	request := c.o.link.buffers.Get(int(max(0, req.ContentLength)))
	_, err := io.Copy((*buffer)(request), req.Body)
	req.Body.Close()
	if err != nil {
		c.o.link.buffers.Put(request)
		return nil, fmt.Errorf("read encoded metrics: %w", err)
	}
	c.o.last, c.o.failure = c.o.link.deliver(req.Context(), request)
	if c.o.failure != nil {
		return nil, c.o.failure
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Request: req,
	}, nil
}

func otlpScoped(metrics []metricdata.Metrics) []metricdata.ScopeMetrics {
	return []metricdata.ScopeMetrics{{
		Scope: instrumentation.Scope{Name: otlpScope, Version: version}, Metrics: metrics,
	}}
}
