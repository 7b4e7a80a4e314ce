package exporters

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/segmentio/kafka-go/compress/snappy"
)

// batchPacker compresses the records of a batch. It is not safe for concurrent
// use.
type batchPacker struct {
	code byte // in the attributes of a batch
	pack func(dst *bytes.Buffer, src []byte) error
}

// levels are the highest that each compression knows; 0 is its default.
var levels = map[string]int{"none": 0, "gzip": gzip.BestCompression, "snappy": 0, "lz4": 9, "zstd": 22}

func validateCompression(name string, level int) error {
	most, ok := levels[name]
	if !ok {
		return fmt.Errorf("compression %q: want none, gzip, snappy, lz4 or zstd", name)
	}
	if level < 0 || level > most {
		return fmt.Errorf("compression_level %d: want 0 to %d with %s", level, most, name)
	}
	return nil
}

func newBatchPacker(name string, level int) (batchPacker, error) {
	switch name {
	case "gzip":
		return packGzip(level)
	case "snappy":
		return packSnappy(), nil
	case "lz4":
		return packLZ4(level)
	case "zstd":
		return packZstd(level)
	}
	return batchPacker{pack: func(dst *bytes.Buffer, src []byte) error {
		_, err := dst.Write(src)
		return err
	}}, nil
}

func packGzip(level int) (batchPacker, error) {
	if level == 0 {
		level = gzip.DefaultCompression
	}
	w, err := gzip.NewWriterLevel(nil, level)
	return batchPacker{code: 1, pack: func(dst *bytes.Buffer, src []byte) error {
		w.Reset(dst)
		if _, err := w.Write(src); err != nil {
			return err
		}
		return w.Close()
	}}, err
}

// packSnappy frames as Java's clients do, which every client reads.
func packSnappy() batchPacker {
	var codec snappy.Codec
	return batchPacker{code: 2, pack: func(dst *bytes.Buffer, src []byte) error {
		w := codec.NewWriter(dst)
		if _, err := w.Write(src); err != nil {
			return err
		}
		return w.Close()
	}}
}

func packLZ4(level int) (batchPacker, error) {
	w := lz4.NewWriter(nil)
	options := []lz4.Option{lz4.BlockSizeOption(lz4.Block256Kb), lz4.ChecksumOption(false)}
	if level > 0 {
		options = append(options, lz4.CompressionLevelOption(lz4.CompressionLevel(1<<(8+level-1))))
	}
	err := w.Apply(options...)
	return batchPacker{code: 3, pack: func(dst *bytes.Buffer, src []byte) error {
		w.Reset(dst)
		if _, err := w.Write(src); err != nil {
			return err
		}
		return w.Close()
	}}, err
}

func packZstd(level int) (batchPacker, error) {
	if level == 0 {
		level = 3
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)),
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false)) // the batch has a sum of its own
	return batchPacker{code: 4, pack: func(dst *bytes.Buffer, src []byte) error {
		dst.Grow(len(src)/4 + 64)
		packed := w.EncodeAll(src, dst.AvailableBuffer())
		_, err := dst.Write(packed)
		return err
	}}, err
}
