package exporters

import (
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// zstdName is what gRPC calls the compression.
const zstdName = "zstd"

// zstdCompressor is zstd for gRPC, which has gzip only.
type zstdCompressor struct{ writers sync.Pool }

func (*zstdCompressor) Name() string { return zstdName }

func (c *zstdCompressor) Compress(w io.Writer) (io.WriteCloser, error) {
	if pooled, ok := c.writers.Get().(*pooledZstd); ok {
		pooled.Reset(w)
		return pooled, nil
	}
	fresh, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	return &pooledZstd{fresh, &c.writers}, err
}

func (*zstdCompressor) Decompress(r io.Reader) (io.Reader, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxReply))
}

// pooledZstd goes back to its pool when it is closed.
type pooledZstd struct {
	*zstd.Encoder
	pool *sync.Pool
}

func (p *pooledZstd) Close() error {
	err := p.Encoder.Close()
	p.Reset(nil)
	p.pool.Put(p)
	return err
}
