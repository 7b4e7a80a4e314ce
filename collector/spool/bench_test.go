package spool

import (
	"strconv"
	"testing"
	"time"
)

// One batch in, out, and acknowledged.
func BenchmarkAppendNextAck(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10} {
		b.Run(strconv.Itoa(size>>10)+"KiB", func(b *testing.B) { benchmark(b, size, SyncPolicy{}) })
	}
	b.Run("64KiB_interval", func(b *testing.B) { benchmark(b, 64<<10, SyncEvery(time.Second)) })
	b.Run("64KiB_batch", func(b *testing.B) { benchmark(b, 64<<10, SyncEveryBatch) })
}

func benchmark(b *testing.B, size int, sync SyncPolicy) {
	s := open(b, Config{Dir: b.TempDir() + "/spool", MaxSize: 256 << 20, SegmentSize: 16 << 20, Sync: sync})
	batch := payload(0, size)[:size]
	now := time.Now()
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Append(batch, 256, now); err != nil {
			b.Fatal(err)
		}
		e, err := s.Next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		s.Ack(e)
	}
}
