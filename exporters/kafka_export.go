package exporters

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/fanlight-io/fanlight/redact"
)

// kafkaExporter produces each batch with requests of its own: one per leader at
// a time, with one batch per partition in it. It has no goroutine between
// Exports and keeps no record.
//
// Delivery: at least once. A record that Export does not report is stored by
// all in-sync replicas. One that is stored although the answer got lost comes
// again, with the same event_id. Records with one key are stored in their order;
// after such a repetition, in the order of their first copies.
type kafkaExporter struct {
	config  KafkaConfig
	counts  kafkaCounts
	links   *kafkaLinks
	batches *batchEncoder
	dead    deadLetters
	renew   atomic.Bool // Reopen was asked for
	shut    atomic.Bool

	mu      sync.Mutex // of what follows, and of an Export
	layout  *topicLayout
	moved   bool      // the layout is known to be old
	turn    int       // whose turn it is among the configured brokers
	sticky  int       // where records without a key go
	muted   time.Time // until when the brokers asked to be left alone
	exports uint64
	lanes   map[int32]*lane // by partition; their memory is used again
	active  []*lane         // those of the Export under way
	keyed   []byte          // a key
	refused map[string]int
	failed  []int           // places whose dead letter could not be written
	why     error           // of what is refused
	batch   []redact.Record // of the Export under way
}

func (k *kafkaExporter) Export(ctx context.Context, batch []redact.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.shut.Load() {
		return ErrClosed
	}
	if len(batch) == 0 {
		return nil
	}
	if err := k.ready(ctx); err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	k.batch, k.failed, k.why, k.refused = batch, k.failed[:0], nil, nil
	defer k.tidy()
	k.spread()
	k.run(ctx)
	if k.hasMoved() && k.refresh(ctx) == nil {
		k.follow()
		k.run(ctx)
	}
	return k.result()
}

// maxKept bounds the memory that lanes keep between Exports, whatever the
// number of partitions.
const maxKept = 16 << 20

// tidy lets go of the batch, and of buffers that are larger than their share.
func (k *kafkaExporter) tidy() {
	k.batch = nil
	for _, l := range k.active {
		if l.batch.Cap() > max(4<<10, maxKept/len(k.lanes)) {
			l.batch = bytes.Buffer{}
		}
	}
}

// ready waits for as long as the brokers asked to be left alone, and makes sure
// that the leaders are known.
func (k *kafkaExporter) ready(ctx context.Context) error {
	if k.renew.Swap(false) {
		k.links.close()
	}
	if wait := time.Until(k.muted); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if k.layout != nil && !k.moved && time.Since(k.layout.learnt) < k.config.MetadataRefresh {
		return nil
	}
	err := k.refresh(ctx)
	if err != nil && k.layout != nil && !k.moved {
		return nil // old, but nobody complained
	}
	return err
}

// spread gives each record to the lane of its partition.
func (k *kafkaExporter) spread() {
	k.exports++
	k.active = k.active[:0]
	n := len(k.layout.leaders)
	sticky := k.nextSticky(n)
	for i := range k.batch {
		partition := sticky
		if k.keyed = appendKey(k.keyed[:0], &k.batch[i], k.config.Key); len(k.keyed) > 0 {
			partition = partitionOf(k.keyed, n)
		}
		l := k.lanes[partition]
		if l == nil {
			l = new(lane)
			k.lanes[partition] = l
		}
		if l.export != k.exports {
			l.reset(k.exports, partition, k.layout.leaders[partition])
			k.active = append(k.active, l)
		}
		l.places = append(l.places, i)
	}
}

// nextSticky returns the partition for records without a key: one per Export,
// that has a leader if any has.
func (k *kafkaExporter) nextSticky(n int) int32 {
	for range n {
		k.sticky = (k.sticky + 1) % n
		if k.layout.leaders[k.sticky].isThere() {
			break
		}
	}
	return int32(k.sticky)
}

// run sends batches until each lane is empty or halted.
func (k *kafkaExporter) run(ctx context.Context) {
	for {
		byLeader := k.fill(ctx)
		if len(byLeader) == 0 {
			return
		}
		answers := make([]kafkaAnswer, len(byLeader))
		var all sync.WaitGroup
		for i, lanes := range byLeader[1:] {
			all.Go(func() { answers[i+1] = k.send(ctx, lanes) })
		}
		answers[0] = k.send(ctx, byLeader[0])
		all.Wait()
		for i, lanes := range byLeader {
			k.take(ctx, lanes, answers[i])
		}
	}
}

// fill encodes a batch for each lane that has records, by leader.
func (k *kafkaExporter) fill(ctx context.Context) (byLeader [][]*lane) {
	for _, l := range k.active {
		if l.isBusy() && !l.leader.isThere() {
			k.counts.partitionRetry.Add(1)
			l.halt(kafka.LeaderNotAvailable, true)
		}
		for l.isBusy() {
			n, tooLarge, err := k.batches.fill(l, k.batch)
			if err != nil {
				k.counts.partitionRetry.Add(1)
				l.halt(fmt.Errorf("compress: %w", err), false)
				break
			}
			if l.flying = n; n > 0 {
				byLeader = k.addTo(byLeader, l)
				break
			}
			if tooLarge {
				k.refuse(ctx, l.places[0], "oversize", errLargeRecord)
				l.settle(1)
			}
		}
	}
	return byLeader
}

func (k *kafkaExporter) addTo(byLeader [][]*lane, l *lane) [][]*lane {
	for i := range byLeader {
		if byLeader[i][0].leader == l.leader {
			byLeader[i] = append(byLeader[i], l)
			return byLeader
		}
	}
	return append(byLeader, []*lane{l})
}

var errLargeRecord = errors.New("larger than max_record_bytes")

// refuse hands a record to the dead letters. If they can't take it, it is to be
// exported again: it must not be lost in silence.
func (k *kafkaExporter) refuse(ctx context.Context, place int, reason string, why error) {
	kept, err := k.dead.keep(ctx, k.batch[place:place+1])
	if err != nil {
		k.failed = append(k.failed, place)
		k.why = fmt.Errorf("dead letter: %w", err)
		return
	}
	if k.why == nil {
		k.why = why
	}
	if kept {
		k.counts.deadLettered.Add(1)
	}
	if k.refused == nil {
		k.refused = map[string]int{}
	}
	k.refused[reason]++
}

// hasMoved reports whether a lane halted because its leader isn't the leader.
func (k *kafkaExporter) hasMoved() bool {
	k.moved = slices.ContainsFunc(k.active, func(l *lane) bool { return l.moved })
	return k.moved
}

// follow lets go on the lanes whose partition has another leader now.
func (k *kafkaExporter) follow() {
	for _, l := range k.active {
		if int(l.partition) >= len(k.layout.leaders) {
			continue
		}
		if now := k.layout.leaders[l.partition]; l.moved && now.isThere() && now != l.leader {
			l.leader, l.err, l.moved = now, nil, false
		}
	}
}

// result tells what is not delivered.
func (k *kafkaExporter) result() error {
	retry := slices.Clone(k.failed)
	cause := k.why
	for _, l := range k.active {
		if l.err == nil {
			continue
		}
		k.moved = k.moved || l.moved
		retry = append(retry, l.places...)
		cause = l.err
	}
	if len(retry) == 0 && len(k.refused) == 0 {
		return nil
	}
	slices.Sort(retry)
	return fmt.Errorf("kafka: %w", &Undelivered{Retry: retry, Refused: k.refused, Cause: RetryAfter(cause, time.Until(k.muted))})
}
