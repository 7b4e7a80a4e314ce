package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/fanlight-io/fanlight/collector/spool"
	"github.com/fanlight-io/fanlight/redact"
)

// store is a delivery by way of a spool: one goroutine writes to it what the
// queue holds, another exports what it reads there. Where the disk takes
// nothing and the spool is empty, the sink gets records directly.
type store struct {
	*delivery
	spool   *spool.Spool
	trouble *trouble // with writing
	payload []byte

	exporting sync.Mutex // guards the courier
	unread    *trouble   // with reading
	reader    redact.BatchReader
	records   []redact.Record
}

func openStore(d *delivery, log *slog.Logger) (*store, error) {
	sp, err := spool.Open(d.Spool)
	if err != nil {
		return nil, fmt.Errorf("spool of exporter %s: %w", d.Name, err)
	}
	log = log.With("spool", d.Spool.Dir)
	if foreign, err := sp.Foreign(); err == nil && len(foreign) > 0 {
		log.Warn("files that are no part of the spool are left alone", "files", foreign)
	}
	return &store{delivery: d, spool: sp, trouble: newTrouble(log), unread: newTrouble(log)}, nil
}

// run returns when ctx is done, or the queue is closed and all is delivered.
// What is not delivered then stays in the spool.
func (s *store) run(ctx context.Context) error {
	feeding, fed := context.WithCancel(ctx)
	var filling sync.WaitGroup
	filling.Go(func() {
		defer fed()
		s.fill(ctx)
	})
	s.empty(ctx, feeding)
	filling.Wait()
	return s.spool.Close()
}

// fill moves what waits in memory to the disk.
func (s *store) fill(ctx context.Context) {
	for records := s.queue.take(ctx); records != nil; records = s.queue.take(ctx) {
		s.keep(ctx, records)
		s.queue.done()
	}
}

// keep returns when the records are in the spool, or delivered, or ctx is done.
// What a full spool refuses is counted by the spool.
func (s *store) keep(ctx context.Context, records []redact.Record) {
	_, oldest := s.queue.load()
	for wait := s.Retry.First; ctx.Err() == nil; wait = min(2*wait, s.Retry.Most) {
		s.payload = redact.AppendBatch(s.payload[:0], records)
		err := s.spool.Append(s.payload, len(records), oldest)
		switch {
		case err == nil, errors.Is(err, spool.ErrFull):
			s.trouble.over()
			return
		case errors.Is(err, spool.ErrTooLarge):
			s.split(ctx, records)
			return
		}
		s.trouble.begins("spool takes nothing", err, "records", len(records))
		if records = s.bypass(ctx, records); len(records) == 0 {
			return
		}
		s.courier.pause(ctx, wait)
	}
	s.counts.lose("spool", "shutdown", uint64(len(records)))
}

// split keeps a batch that is larger than a segment in two halves.
func (s *store) split(ctx context.Context, records []redact.Record) {
	half := len(records) / 2
	if half == 0 {
		s.counts.lose("spool", "too_large", 1)
		return
	}
	s.keep(ctx, records[:half])
	s.keep(ctx, records[half:])
}

// bypass exports the records once if nothing older waits, and returns the rest.
func (s *store) bypass(ctx context.Context, records []redact.Record) []redact.Record {
	if !s.exporting.TryLock() {
		return records
	}
	defer s.exporting.Unlock()
	if s.spool.Stats().Waiting > 0 {
		return records
	}
	again, _ := s.courier.attempt(ctx, records)
	return again
}

// empty exports what is in the spool until ctx is done, or nothing more comes.
// A disk that can't be read is tried again: it may come back.
func (s *store) empty(ctx, feeding context.Context) {
	for ctx.Err() == nil {
		e, err := s.spool.Next(feeding)
		if err != nil && feeding.Err() != nil {
			if s.spool.Stats().Waiting == 0 {
				return
			}
			e, err = s.spool.Next(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.unread.begins("spool can't be read", err)
			s.courier.pause(ctx, s.Retry.Most)
			continue
		}
		s.unread.over()
		if !s.export(ctx, e) {
			return
		}
		s.spool.Ack(e)
	}
}

// export reports whether the entry is done with.
func (s *store) export(ctx context.Context, e spool.Entry) bool {
	records, err := s.reader.Read(s.records[:0], e.Payload)
	s.records = records[:0]
	if err != nil {
		s.counts.lose("spool", "unreadable", uint64(e.Records))
		return true
	}
	s.exporting.Lock()
	defer s.exporting.Unlock()
	return s.courier.deliver(ctx, records) == 0
}

// status adds what the spool knows, and returns since when the oldest record
// waits.
func (s *store) status(to *SinkStatus, oldest time.Time) time.Time {
	stats := s.spool.Stats()
	to.Waiting += stats.Waiting
	// What was torn when the earlier agent died is found and lost at once.
	to.Recovered = stats.Recovered + stats.Lost[spool.Torn]
	to.SpoolBytes, to.SpoolMax = stats.Bytes, int64(s.Spool.Capacity())
	for reason, n := range stats.Lost {
		if n > 0 {
			to.Lost[LossPoint{"spool", spool.Reason(reason).String()}] += n
		}
	}
	if oldest.IsZero() || !stats.Oldest.IsZero() && stats.Oldest.Before(oldest) {
		return stats.Oldest
	}
	return oldest
}
