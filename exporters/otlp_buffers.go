package exporters

import "sync"

// otlpBuffers keeps memory of requests that were sent. gRPC and HTTP may read a
// request longer than the call lasts, so a buffer comes back when they have done
// with it. Safe for concurrent use.
type otlpBuffers struct{ pool sync.Pool }

// Get returns an empty buffer for at least n bytes.
func (b *otlpBuffers) Get(n int) *[]byte {
	if p, ok := b.pool.Get().(*[]byte); ok && cap(*p) >= n {
		*p = (*p)[:0]
		return p
	}
	fresh := make([]byte, 0, max(n, 64<<10))
	return &fresh
}

// Put takes a buffer back.
func (b *otlpBuffers) Put(p *[]byte) { b.pool.Put(p) }
