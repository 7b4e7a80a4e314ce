package redact_test

import (
	"testing"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

func BenchmarkApply(b *testing.B) {
	for _, profile := range redact.Profiles() {
		b.Run(string(profile), func(b *testing.B) { benchmarkApply(b, redacttest.Policy(b, profile)) })
	}
	b.Run("rules", func(b *testing.B) {
		benchmarkApply(b, policyOf(b, `
profile: siem
rules:
- {classes: [host], groups: [239.1.0.0/16, 239.2.0.0/16, 239.3.0.0/16, 239.4.0.0/16, 239.5.0.0/16], action: mask}
- {classes: [group], kinds: [membership], action: drop}
- {classes: [interface], interfaces: ["tenant-*"], action: pseudonym}
- {classes: [counter], groups: [233.252.0.0/24], action: bucket, bucket: {count: 100}}`))
	})
}

func benchmarkApply(b *testing.B, p *redact.Policy) {
	batch := redacttest.Busy(0, 256)
	records := p.Apply(nil, batch)
	b.ReportAllocs()
	for b.Loop() {
		records = p.Apply(records[:0], batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/event")
}

func BenchmarkAppendJSON(b *testing.B) {
	records := redacttest.Policy(b, redact.DefaultProfile).Apply(nil, redacttest.Busy(0, 256))
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		for i := range records {
			line = records[i].AppendJSON(line[:0])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(records)), "ns/event")
	b.ReportMetric(float64(len(line)), "bytes/line")
}

// Membership is the kind with most addresses: five pseudonyms from the cache.
func BenchmarkMembership(b *testing.B) {
	p := redacttest.Policy(b, redact.DefaultProfile)
	e := redacttest.CanaryEvents()[5]
	batch := []bpf.Event{e}
	records := p.Apply(nil, batch)
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		records = p.Apply(records[:0], batch)
		line = records[0].AppendJSON(line[:0])
	}
}

func BenchmarkPseudonymMiss(b *testing.B) {
	p, err := redact.NewPolicy(redact.Config{CacheEntries: 1}, redacttest.Origin)
	if err != nil {
		b.Fatal(err)
	}
	batch := redacttest.Busy(0, 2)
	batch[1].Source = redacttest.SourceCanary4
	records := p.Apply(nil, batch)
	b.ReportAllocs()
	for b.Loop() {
		records = p.Apply(records[:0], batch)
	}
}

func BenchmarkAppendBatch(b *testing.B) {
	records := redacttest.Policy(b, redact.DefaultProfile).Apply(nil, redacttest.Busy(0, 256))
	payload := redact.AppendBatch(nil, records)
	b.ReportAllocs()
	for b.Loop() {
		payload = redact.AppendBatch(payload[:0], records)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(records)), "ns/record")
	b.ReportMetric(float64(len(payload))/float64(len(records)), "bytes/record")
}

func BenchmarkReadBatch(b *testing.B) {
	records := redacttest.Policy(b, redact.DefaultProfile).Apply(nil, redacttest.Busy(0, 256))
	payload := redact.AppendBatch(nil, records)
	var reader redact.BatchReader
	var err error
	b.ReportAllocs()
	for b.Loop() {
		if records, err = reader.Read(records[:0], payload); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(records)), "ns/record")
}
