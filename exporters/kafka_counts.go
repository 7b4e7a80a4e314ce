package exporters

import (
	"iter"
	"sync/atomic"
)

// kafkaCounts are what the exporter counts beside its deliveries.
type kafkaCounts struct {
	connected      atomic.Uint64 // connections, authenticated where that is asked for
	connectFailed  atomic.Uint64
	authFailed     atomic.Uint64 // refused passwords and certificates
	metadata       atomic.Uint64 // answers about leaders
	topicMissing   atomic.Uint64 // answers that there is no such topic, or none for us
	partitionRetry atomic.Uint64 // batches of one partition that are to be sent again
	split          atomic.Uint64 // batches that were cut in two
	timeless       atomic.Uint64 // batches whose times the topic does not take, and that went without
	deadLettered   atomic.Uint64 // records in the dead-letter file
}

func (c *kafkaCounts) all() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for _, one := range []struct {
			name string
			n    *atomic.Uint64
		}{
			{"connected", &c.connected}, {"connect_failed", &c.connectFailed}, {"authentication_failed", &c.authFailed},
			{"metadata", &c.metadata}, {"topic_missing", &c.topicMissing}, {"partition_retry", &c.partitionRetry},
			{"split", &c.split}, {"timeless", &c.timeless}, {"dead_lettered", &c.deadLettered},
		} {
			if !yield(one.name, one.n.Load()) {
				return
			}
		}
	}
}
