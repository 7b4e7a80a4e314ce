package exporters

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

// kafkaAnswer is what became of one request.
type kafkaAnswer struct {
	res *produce.Response
	err error
}

// send produces the batches of lanes with the same leader. It may run beside
// others.
func (k *kafkaExporter) send(ctx context.Context, lanes []*lane) kafkaAnswer {
	parts := make([]rawproduce.RequestPartition, len(lanes))
	for i, l := range lanes {
		l.reader.Reset(l.batch.Bytes())
		parts[i] = rawproduce.RequestPartition{Partition: l.partition, RecordSet: protocol.RawRecordSet{Reader: &l.reader}}
	}
	res, err := k.links.RoundTrip(ctx, lanes[0].leader.addr, &rawproduce.Request{
		Acks:    int16(kafka.RequireAll),
		Timeout: int32((k.config.Timeout * 3 / 4).Milliseconds()), // the broker gives up first, and says so
		Topics:  []rawproduce.RequestTopic{{Topic: k.config.Topic, Partitions: parts}},
	})
	if err != nil {
		return kafkaAnswer{err: err}
	}
	answer, ok := res.(*produce.Response)
	if !ok {
		return kafkaAnswer{err: fmt.Errorf("answer of type %T", res)}
	}
	return kafkaAnswer{res: answer}
}

// maxMute bounds how long a broker can ask us to wait.
const maxMute = 30 * time.Second

// take brings the lanes forward by what their leader answered.
func (k *kafkaExporter) take(ctx context.Context, lanes []*lane, answer kafkaAnswer) {
	if answer.err != nil {
		for _, l := range lanes {
			k.counts.partitionRetry.Add(1)
			// A broker that does not let us in may lead all the same.
			moved := !errors.Is(answer.err, errAuthentication)
			l.halt(fmt.Errorf("broker %s: %w", k.nameOf(l.leader), answer.err), moved)
		}
		return
	}
	if mute := time.Duration(answer.res.ThrottleTimeMs) * time.Millisecond; mute > 0 {
		k.muted = time.Now().Add(min(mute, maxMute))
	}
	for _, l := range lanes {
		part := k.partOf(answer.res, l.partition)
		if part == nil {
			k.counts.partitionRetry.Add(1)
			l.halt(errors.New("the broker says nothing of it"), false)
			continue
		}
		l.answer(part, &k.counts, func(place int, reason string, why error) { k.refuse(ctx, place, reason, why) })
	}
}

func (k *kafkaExporter) partOf(res *produce.Response, partition int32) *produce.ResponsePartition {
	for t := range res.Topics {
		if res.Topics[t].Topic != k.config.Topic {
			continue
		}
		for p := range res.Topics[t].Partitions {
			if part := &res.Topics[t].Partitions[p]; part.Partition == partition {
				return part
			}
		}
	}
	return nil
}
