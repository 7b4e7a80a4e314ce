package exporters

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// keeper looks after rotated files beside the writing: it compresses them,
// keeps within the limits, and does what is due by time. What a crash left
// half-done it finishes when it starts.
type keeper struct {
	log    *logFile
	signal chan struct{}
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// fileCounts are what happened to log files beside deliveries.
type fileCounts struct {
	rotated, rotateFailed, compressed, compressFailed, removed, removeFailed, syncFailed atomic.Uint64
}

// Counts yields the counters that [Counter] promises.
func (l *logFile) Counts() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for _, c := range []struct {
			name string
			n    *atomic.Uint64
		}{
			{"rotated", &l.counts.rotated}, {"rotate_failed", &l.counts.rotateFailed},
			{"compressed", &l.counts.compressed}, {"compress_failed", &l.counts.compressFailed},
			{"removed", &l.counts.removed}, {"remove_failed", &l.counts.removeFailed},
			{"sync_failed", &l.counts.syncFailed},
		} {
			if !yield(c.name, c.n.Load()) {
				return
			}
		}
	}
}

// start runs the keeper if there is anything to keep.
func (k *keeper) start(l *logFile) {
	if !l.rotate.rotates() && l.rotate.Sync.interval == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	k.log, k.signal, k.stop = l, make(chan struct{}, 1), cancel
	k.done.Go(func() { k.run(ctx) })
}

// wake makes the keeper look at the files. It never blocks.
func (k *keeper) wake() {
	select {
	case k.signal <- struct{}{}:
	default:
	}
}

// close stops the keeper; what it is compressing begins anew at the next start.
func (k *keeper) close() {
	if k.stop != nil {
		k.stop()
		k.done.Wait()
	}
}

// retryAfter is how soon failed work is tried again.
const retryAfter = time.Minute

func (k *keeper) run(ctx context.Context) {
	period := retryAfter
	for _, d := range []time.Duration{k.log.rotate.MaxAge, k.log.rotate.Sync.interval} {
		if d > 0 {
			period = min(period, d)
		}
	}
	tick := time.NewTicker(period)
	defer tick.Stop()
	next := time.Time{} // when to look at the files without being woken
	for {
		if now := time.Now(); !now.Before(next) {
			next = now.Add(retryAfter)
			k.tidy(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-k.signal:
			next = time.Time{}
		case <-tick.C:
			k.log.onTick()
		}
	}
}

// onTick rotates a file that is old though nothing is written, and syncs.
func (l *logFile) onTick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.file == nil {
		return
	}
	if info, err := l.file.Stat(); err == nil && l.rotate.MaxAge > 0 && l.isDue(info.Size(), 0) {
		if err := l.turnOver(); err != nil {
			l.counts.rotateFailed.Add(1)
		}
	}
	if l.rotate.Sync.interval > 0 && l.dirty && l.file != nil {
		if err := l.file.Sync(); err != nil {
			l.counts.syncFailed.Add(1)
			return
		}
		l.dirty = false
	}
}

// tidy compresses rotated files and removes those beyond the limits.
func (k *keeper) tidy(ctx context.Context) {
	if !k.log.rotate.rotates() {
		return
	}
	files, err := rotatedFiles(k.log.path)
	if err != nil {
		k.log.counts.removeFailed.Add(1)
		return
	}
	files = k.removeLeftovers(files)
	for _, path := range files {
		if ctx.Err() != nil {
			return
		}
		k.compress(ctx, path)
		k.removeOldest()
	}
}

func (k *keeper) compress(ctx context.Context, path string) {
	how := k.log.rotate.Compress
	if how.suffix() == "" || strings.HasSuffix(path, ".gz") || strings.HasSuffix(path, ".zst") {
		return
	}
	switch err := compressFile(ctx, path, how); {
	case err == nil:
		k.log.counts.compressed.Add(1)
	case ctx.Err() == nil && !errors.Is(err, fs.ErrNotExist): // the limits may have taken it
		k.log.counts.compressFailed.Add(1)
	}
}

// removeLeftovers removes what a crash left of a compression: its source is
// still there.
func (k *keeper) removeLeftovers(files []string) (rest []string) {
	for _, path := range files {
		if strings.HasSuffix(path, ".tmp") {
			k.remove(path)
			continue
		}
		rest = append(rest, path)
	}
	return rest
}

// removeOldest removes files until the limits hold, the newest being last to
// go.
func (k *keeper) removeOldest() {
	c := k.log.rotate
	if c.Keep == 0 && c.KeepBytes == 0 {
		return
	}
	files, err := rotatedFiles(k.log.path)
	if err != nil {
		k.log.counts.removeFailed.Add(1)
		return
	}
	var total int64
	sizes := make([]int64, len(files))
	for i, path := range files {
		if info, err := os.Stat(path); err == nil {
			sizes[i] = info.Size()
			total += sizes[i]
		}
	}
	for i, path := range files {
		if (c.Keep == 0 || len(files)-i <= c.Keep) && (c.KeepBytes == 0 || total <= int64(c.KeepBytes)) {
			return
		}
		if k.remove(path) {
			k.log.counts.removed.Add(1)
		}
		total -= sizes[i]
	}
}

func (k *keeper) remove(path string) bool {
	if err := os.Remove(path); err != nil {
		k.log.counts.removeFailed.Add(1)
		return false
	}
	return true
}
