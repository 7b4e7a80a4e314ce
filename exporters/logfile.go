package exporters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"syscall"
	"time"

	"github.com/fanlight-io/fanlight/redact"
)

// FileConfig configures an exporter that appends lines to a file.
type FileConfig struct {
	Type string `yaml:"type"`
	// Path is the file. Its directory must exist.
	Path string `yaml:"path"`
	// Format is how records are written; native by default.
	Format Format `yaml:"format"`
	// RotateConfig is when the file makes room for a new one.
	RotateConfig `yaml:",inline"`
}

// Validate checks everything but the file itself.
func (c *FileConfig) Validate() error {
	if c.Path == "" {
		return errors.New("path is missing")
	}
	if err := c.RotateConfig.validate(); err != nil {
		return err
	}
	return c.Format.Validate()
}

// Open opens the file, which it creates with mode 0600.
func (c *FileConfig) Open() (Exporter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	l := &logFile{path: c.Path, enc: c.Format.encoder(), rotate: c.RotateConfig, now: time.Now}
	if err := l.reopen(); err != nil {
		return nil, err
	}
	l.keeper.start(l)
	return l, nil
}

// logFile appends each batch with one write, so a line is whole or absent:
// what a full disk cuts off is taken back before the error is returned, and
// the next Export tries again. One process writes to a file.
//
// Delivery: a record is in the kernel's page cache when Export returns nil; it
// survives the agent, but a power cut only as the sync policy says.
type logFile struct {
	path   string
	enc    encoder
	rotate RotateConfig
	now    func() time.Time
	counts fileCounts
	keeper keeper

	mu      sync.Mutex // Reopen comes from another goroutine
	file    appendFile // nil after a failed reopen
	closed  bool
	torn    bool // the file ends inside of a line
	dirty   bool // written, and not synced since
	begun   time.Time
	strayed time.Time // when the path was first seen to name another file
	buf     []byte
}

// appendFile is what logFile needs of an *os.File.
type appendFile interface {
	io.Writer
	io.Closer
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
}

func (l *logFile) Export(ctx context.Context, batch []redact.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	if len(batch) == 0 {
		return nil
	}
	size, err := l.ready()
	if err != nil {
		return err
	}
	l.buf = l.buf[:0]
	if l.torn {
		l.buf = append(l.buf, '\n')
	}
	l.buf = appendLines(l.buf, l.enc, batch)
	if l.isDue(size, len(l.buf)) && !l.torn {
		if err := l.turnOver(); err != nil {
			return err
		}
		if size, err = l.ready(); err != nil {
			return err
		}
	}
	if size == 0 {
		l.begun = l.now()
	}
	n, err := l.file.Write(l.buf)
	if err != nil {
		return errors.Join(fmt.Errorf("append to log file: %w", err), l.takeBack(size, n))
	}
	l.torn, l.dirty = false, true
	if l.rotate.Sync.everyBatch {
		if err := l.file.Sync(); err != nil {
			return fmt.Errorf("sync log file: %w", err)
		}
	}
	return nil
}

// ready makes sure that there is a file that others can still find, and
// returns its size. A file that was deleted is made anew: lines written to it
// would be lost in silence. One that was renamed stays in use for a while,
// until whoever renamed it asks for a reopening or forgot to.
func (l *logFile) ready() (size int64, err error) {
	if l.file != nil {
		info, err := l.file.Stat()
		if err != nil {
			return 0, fmt.Errorf("log file: %w", err)
		}
		if links(info) > 0 && !l.isAbandoned() {
			return info.Size(), nil
		}
		if err := l.reopen(); err != nil && links(info) > 0 {
			return info.Size(), nil // the old one still takes lines
		}
	}
	if err := l.reopen(); err != nil {
		return 0, err
	}
	info, err := l.file.Stat()
	if err != nil {
		return 0, fmt.Errorf("log file: %w", err)
	}
	return info.Size(), nil
}

// abandonedAfter is how long a renamed file stays in use without a reopening.
const abandonedAfter = 10 * time.Second

func (l *logFile) isAbandoned() bool {
	if l.isOurs() {
		l.strayed = time.Time{}
		return false
	}
	if l.strayed.IsZero() {
		l.strayed = l.now()
	}
	return l.now().Sub(l.strayed) >= abandonedAfter
}

func links(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 1
}

// takeBack cuts off the n bytes of a failed write. Where that is impossible,
// the next write ends the torn line first.
func (l *logFile) takeBack(size int64, n int) error {
	if n == 0 {
		return nil
	}
	l.torn = l.buf[n-1] != '\n'
	info, err := l.file.Stat()
	if err != nil {
		return fmt.Errorf("take back part of a batch: %w", err)
	}
	if info.Size() != size+int64(n) { // somebody else writes too: the end isn't ours
		return nil
	}
	if err := l.file.Truncate(size); err != nil {
		return fmt.Errorf("take back part of a batch: %w", err)
	}
	l.torn = l.buf[0] == '\n' // what was torn before is so again
	return nil
}

// Reopen opens the path again, as after a rename by logrotate. If that fails
// the old file stays in use.
func (l *logFile) Reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	return l.reopen()
}

func (l *logFile) reopen() error {
	file, err := openLog(l.path)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("open log file: %w", err), file.Close())
	}
	old := l.file
	l.file, l.torn, l.begun, l.strayed = file, false, begunAt(file, info), time.Time{}
	if old == nil {
		return nil
	}
	if err := old.Close(); err != nil {
		return fmt.Errorf("close the old log file: %w", err)
	}
	return nil
}

func (l *logFile) Close(context.Context) error {
	l.keeper.close() // before the lock, which it takes
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	if l.file == nil {
		return nil
	}
	var err error
	if !l.rotate.Sync.never() {
		err = l.file.Sync()
	}
	if err := errors.Join(err, l.file.Close()); err != nil {
		return fmt.Errorf("close log file: %w", err)
	}
	return nil
}
