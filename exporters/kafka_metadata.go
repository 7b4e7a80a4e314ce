package exporters

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

// topicLayout says who leads the partitions of the topic.
type topicLayout struct {
	leaders []brokerNode // by partition
	learnt  time.Time
}

// brokerNode is a broker as the cluster names it. The zero value is nobody.
type brokerNode struct {
	id   int
	addr brokerAddress
}

func (b brokerNode) isThere() bool { return b.addr != "" }

// maxPartitions is far beyond what a cluster can have.
const maxPartitions = 1 << 20

// layoutOf reads the answer about one topic.
func layoutOf(res *kafka.MetadataResponse, topic string, now time.Time) (*topicLayout, error) {
	for _, t := range res.Topics {
		if t.Name != topic {
			continue
		}
		if t.Error != nil {
			return nil, fmt.Errorf("topic %q: %w", topic, t.Error)
		}
		layout := &topicLayout{learnt: now}
		for _, p := range t.Partitions {
			if p.ID < 0 || p.ID >= maxPartitions {
				return nil, fmt.Errorf("topic %q: partition %d can't be", topic, p.ID)
			}
			for len(layout.leaders) <= p.ID {
				layout.leaders = append(layout.leaders, brokerNode{})
			}
			if p.Leader.Host != "" {
				addr := net.JoinHostPort(p.Leader.Host, strconv.Itoa(p.Leader.Port))
				layout.leaders[p.ID] = brokerNode{p.Leader.ID, brokerAddress(addr)}
			}
		}
		if len(layout.leaders) == 0 {
			return nil, fmt.Errorf("topic %q: has no partitions", topic)
		}
		return layout, nil
	}
	return nil, fmt.Errorf("topic %q: the broker says nothing of it", topic)
}

// refresh asks who leads now: the leaders known, and then the configured
// brokers, until one answers. It fails if there is no such topic, or none for
// us; then an old layout is of no use either.
func (k *kafkaExporter) refresh(ctx context.Context) error {
	var failed error
	for _, b := range k.witnesses() {
		if err := ctx.Err(); err != nil {
			return err
		}
		client := kafka.Client{Transport: k.links}
		res, err := client.Metadata(ctx, &kafka.MetadataRequest{Addr: b.addr, Topics: []string{k.config.Topic}})
		if err != nil {
			failed = onOneLine(failed, fmt.Errorf("broker %s: %w", k.nameOf(b), cause(err)))
			continue
		}
		k.counts.metadata.Add(1)
		layout, err := layoutOf(res, k.config.Topic, time.Now())
		if err != nil {
			k.counts.topicMissing.Add(1)
			k.layout = nil
			return err
		}
		k.layout, k.moved = layout, false
		k.links.retain(k.isKnown)
		return nil
	}
	return failed
}

// onOneLine joins errors for a log.
func onOneLine(a, b error) error {
	if a == nil {
		return b
	}
	return fmt.Errorf("%w; %w", a, b)
}

// cause takes off the library's own prefix.
func cause(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// witnesses are whom to ask, best first. The configured brokers take turns.
func (k *kafkaExporter) witnesses() []brokerNode {
	var all []brokerNode
	add := func(b brokerNode) {
		if b.isThere() && !slices.ContainsFunc(all, func(known brokerNode) bool { return known.addr == b.addr }) {
			all = append(all, b)
		}
	}
	if k.layout != nil {
		for _, b := range k.layout.leaders {
			add(b)
		}
	}
	n := len(k.config.Brokers)
	for i := range n {
		add(brokerNode{-1, brokerAddress(k.config.Brokers[(k.turn+i)%n])})
	}
	k.turn = (k.turn + 1) % n
	return all
}

// nameOf is what errors call a broker: as the operator wrote it, or by number.
func (k *kafkaExporter) nameOf(b brokerNode) string {
	if b.id < 0 || slices.Contains(k.config.Brokers, string(b.addr)) {
		return string(b.addr)
	}
	return strconv.Itoa(b.id)
}

func (k *kafkaExporter) isKnown(addr string) bool {
	return slices.Contains(k.config.Brokers, addr) ||
		slices.ContainsFunc(k.layout.leaders, func(b brokerNode) bool { return string(b.addr) == addr })
}
