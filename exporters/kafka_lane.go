package exporters

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/produce"
)

// lane is what one Export has for one partition. One batch of it is under way
// at any time, so that the order holds.
type lane struct {
	export    uint64 // which one
	partition int32
	leader    brokerNode
	places    []int // of records that are not settled, in order
	flying    int   // how many of them are in the batch under way
	most      int   // of records in the next batch
	timeless  bool  // the next batch goes without times
	batch     bytes.Buffer
	reader    bytes.Reader

	err   error // why it halted, nil while it goes on
	moved bool  // it halted because somebody else leads
}

func (l *lane) reset(export uint64, partition int32, leader brokerNode) {
	l.export, l.partition, l.leader, l.places = export, partition, leader, l.places[:0]
	l.flying, l.most, l.timeless, l.err, l.moved = 0, maxInFlight, false, nil, false
}

// maxInFlight is more records than a batch has.
const maxInFlight = 1 << 20

func (l *lane) isBusy() bool { return l.err == nil && len(l.places) > 0 }

// settle drops the first n places: their records are stored.
func (l *lane) settle(n int) {
	l.places = append(l.places[:0], l.places[n:]...)
	l.timeless = false
	l.most = min(maxInFlight, l.most*2) // after a cut, as large as the broker takes
}

func (l *lane) halt(err error, moved bool) {
	l.err, l.moved = fmt.Errorf("partition %d: %w", l.partition, err), moved
}

// refuseFunc takes over a record that the destination will never take.
type refuseFunc func(place int, reason string, why error)

// answer brings the lane forward by what the leader said of its batch.
func (l *lane) answer(p *produce.ResponsePartition, counts *kafkaCounts, refuse refuseFunc) {
	code := kafka.Error(p.ErrorCode)
	switch judge(code) {
	case verdictStored:
		l.settle(l.flying)
	case verdictMoved:
		counts.partitionRetry.Add(1)
		l.halt(code, true)
	case verdictTooLarge:
		l.cut("oversize", code, counts, refuse)
	case verdictUntimely:
		if !l.timeless { // a wrong clock is no reason to lose an event, whose time is in the value too
			l.timeless = true
			counts.timeless.Add(1)
			return
		}
		l.cut("rejected", code, counts, refuse)
	case verdictRefused:
		if !l.strike(p.RecordErrors, code, refuse) {
			l.cut("rejected", code, counts, refuse)
		}
	default:
		counts.partitionRetry.Add(1)
		l.halt(code, false)
	}
}

// cut makes the next batch half as large, until the record is found that can't
// be stored.
func (l *lane) cut(reason string, why error, counts *kafkaCounts, refuse refuseFunc) {
	if l.flying > 1 {
		counts.split.Add(1)
		l.most = l.flying / 2
		return
	}
	refuse(l.places[0], reason, why)
	l.settle(1)
}

// strike takes out the records that the broker names, and reports whether it
// named any: the others were not stored for their sake.
func (l *lane) strike(named []produce.ResponseError, why error, refuse refuseFunc) bool {
	bad := map[int]bool{}
	for _, e := range named {
		if i := int(e.BatchIndex); i >= 0 && i < l.flying && !bad[i] {
			bad[i] = true
			refuse(l.places[i], "rejected", why)
		}
	}
	i := -1
	l.places = slices.DeleteFunc(l.places, func(int) bool { i++; return bad[i] })
	return len(bad) > 0
}
