package exporters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// compressFile puts a compressed file in the place of path. The source goes
// only when the other is whole and on the disk, so that a crash at any moment
// leaves one of them; the next run begins anew.
func compressFile(ctx context.Context, path string, how Compression) error {
	to := path + how.suffix()
	tmp := to + ".tmp"
	if err := compressTo(ctx, tmp, path, how); err != nil {
		return errors.Join(fmt.Errorf("compress log file: %w", err), removeIfThere(tmp))
	}
	if err := os.Rename(tmp, to); err != nil { // over the same content, after a crash
		return errors.Join(fmt.Errorf("compress log file: %w", err), removeIfThere(tmp))
	}
	if err := syncDir(path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("compress log file: %w", err)
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func compressTo(ctx context.Context, to, from string, how Compression) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	packer, err := newPacker(out, how)
	if err != nil {
		return err
	}
	if _, err := io.Copy(packer, &cancelable{ctx, in}); err != nil {
		return errors.Join(err, packer.Close())
	}
	if err := packer.Close(); err != nil {
		return err
	}
	return out.Sync()
}

func newPacker(w io.Writer, how Compression) (io.WriteCloser, error) {
	if how == Gzip {
		return gzip.NewWriter(w), nil
	}
	return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1)) // in the background: one thread is enough
}

// cancelable is a reader that ends with its context.
type cancelable struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
