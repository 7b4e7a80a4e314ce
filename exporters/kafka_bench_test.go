package exporters

import (
	"context"
	"encoding/json"
	"runtime"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// kafkaBenchBatch is as many events as a queue under load hands over.
const kafkaBenchBatch = 4096

// benchCluster takes everything and keeps nothing.
func benchCluster(b *testing.B) string {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(fakePartitions, fakeTopic), kfake.BlackholeProduce())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return c.ListenAddrs()[0]
}

// BenchmarkEventToKafka is the way of an event from the ring to a broker that
// confirmed it, for each compression, beside the same redaction followed by
// encoding/json and a kafka.Writer, as one would write it first. Filling the
// struct is left out, in the latter's favour; so are headers.
func BenchmarkEventToKafka(b *testing.B) {
	for _, name := range []string{"none", "lz4", "zstd", "snappy", "gzip"} {
		ours := 0.0
		b.Run(name+"/fanlight", func(b *testing.B) { ours = benchKafka(b, name) })
		b.Run(name+"/naive", func(b *testing.B) {
			naive := benchKafkaWriter(b, name)
			b.ReportMetric(naive/ours, "times_fanlight")
		})
	}
}

// reportKafka reports what an event cost, the broker's part included, and
// returns the time.
func reportKafka(b *testing.B, before runtime.MemStats) float64 {
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	events := float64(b.N * kafkaBenchBatch)
	perEvent := float64(b.Elapsed().Nanoseconds()) / events
	b.ReportMetric(perEvent, "ns/event")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/events, "B/event")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/events, "allocs/event")
	return perEvent
}

func benchKafka(b *testing.B, compression string) float64 {
	policy := redacttest.Policy(b, redact.DefaultProfile)
	events := redacttest.Busy(0, kafkaBenchBatch)
	k := openKafka(b, benchCluster(b), fakeTopic, func(c *KafkaConfig) { c.Compression = compression })
	records := policy.Apply(nil, events)
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	for b.Loop() {
		records = policy.Apply(records[:0], events)
		if err := k.Export(b.Context(), records); err != nil {
			b.Fatal(err)
		}
	}
	return reportKafka(b, before)
}

func benchKafkaWriter(b *testing.B, compression string) float64 {
	policy := redacttest.Policy(b, redact.DefaultProfile)
	events := redacttest.Busy(0, kafkaBenchBatch)
	codecs := map[string]kafka.Compression{"gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd}
	transport := &kafka.Transport{}
	b.Cleanup(transport.CloseIdleConnections)
	w := &kafka.Writer{
		Addr: kafka.TCP(benchCluster(b)), Topic: fakeTopic, Balancer: &kafka.Murmur2Balancer{}, RequiredAcks: kafka.RequireAll,
		Compression: codecs[compression], BatchSize: kafkaBenchBatch, BatchBytes: 1e6, BatchTimeout: time.Millisecond, Transport: transport,
	}
	b.Cleanup(func() { w.Close() })
	records := policy.Apply(nil, events)
	var filled []*naive
	for i := range records {
		filled = append(filled, naiveOf(&records[i]))
	}
	messages := make([]kafka.Message, 0, len(events))
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	for b.Loop() {
		records = policy.Apply(records[:0], events)
		messages = messages[:0]
		for i := range records {
			value, err := json.Marshal(filled[i])
			if err != nil {
				b.Fatal(err)
			}
			messages = append(messages, kafka.Message{Key: []byte(filled[i].Group), Value: value})
		}
		if err := w.WriteMessages(context.Background(), messages...); err != nil {
			b.Fatal(err)
		}
	}
	return reportKafka(b, before)
}
