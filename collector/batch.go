package collector

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanlight-io/fanlight/redact"
)

// batch is records on their way to the sinks that share them. The last one to
// release it gives its memory back.
type batch struct {
	records []redact.Record
	made    time.Time // when they were redacted
	holders atomic.Int32
	pool    *sync.Pool
}

func (b *batch) release() {
	if b.holders.Add(-1) == 0 {
		b.records = b.records[:0]
		b.pool.Put(b)
	}
}
