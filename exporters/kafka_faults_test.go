package exporters

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const fakeTopic, fakePartitions = "events", 4

// fakeCluster is an in-process cluster that fails as it is told.
func fakeCluster(t testing.TB, brokers int) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(brokers), kfake.SeedTopics(fakePartitions, fakeTopic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// readFake returns what is in the fake cluster, in order per partition, once
// there are so many records.
func readFake(t *testing.T, c *kfake.Cluster, want int) (got []kcatRecord) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics(fakeTopic))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for len(got) < want {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%v after %d of %d records", err, len(got), want)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			one := kcatRecord{Partition: r.Partition, Offset: r.Offset, TS: r.Timestamp.UnixMilli(), Key: string(r.Key), Payload: string(r.Value)}
			for _, h := range r.Headers {
				one.Headers = append(one.Headers, h.Key, string(h.Value))
			}
			got = append(got, one)
		})
	}
	return got
}

// placesIn returns the places of the records of a partition.
func placesIn(batch []redact.Record, partition int32) (places []int) {
	for i := range batch {
		if partitionOf([]byte(batch[i].Key()), fakePartitions) == partition {
			places = append(places, i)
		}
	}
	return places
}

// One partition fails: its records are to be retried, and no others.
func TestKafkaFaultOfOnePartition(t *testing.T) {
	for name, test := range map[string]struct {
		err    *kerr.Error
		code   kafka.Error
		stored bool // although the broker says so
	}{
		"not leader":              {kerr.NotLeaderForPartition, kafka.NotLeaderForPartition, false},
		"unknown partition":       {kerr.UnknownTopicOrPartition, kafka.UnknownTopicOrPartition, false},
		"timed out":               {kerr.RequestTimedOut, kafka.RequestTimedOut, true},
		"too few replicas":        {kerr.NotEnoughReplicas, kafka.NotEnoughReplicas, false},
		"too few replicas, after": {kerr.NotEnoughReplicasAfterAppend, kafka.NotEnoughReplicasAfterAppend, true},
		"storage":                 {kerr.KafkaStorageError, kafka.KafkaStorageError, false},
		"not allowed":             {kerr.TopicAuthorizationFailed, kafka.TopicAuthorizationFailed, false},
		"unheard of":              {kerr.UnknownServerError, kafka.Unknown, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := fakeCluster(t, 2)
			k := openKafka(t, c.ListenAddrs()[0], fakeTopic)
			batch := groupsOf(t, 0, 60, 20)
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: fakeTopic, Partitions: []int32{1}, Err: test.err})
			err := k.Export(t.Context(), batch)
			var u *Undelivered
			if !errors.As(err, &u) || !errors.Is(err, test.code) || len(u.Refused) > 0 || IsPermanent(err) {
				t.Fatalf("error: %v", err)
			}
			if d := cmp.Diff(placesIn(batch, 1), u.Retry); d != "" {
				t.Errorf("to retry (-want +got):\n%s", d)
			}
			if n := countsOf(k)["partition_retry"]; n != 1 {
				t.Errorf("partition_retry: %d", n)
			}
			var again []redact.Record
			for _, at := range u.Retry {
				again = append(again, batch[at])
			}
			mustExport(t, k, again)
			records := len(batch)
			if test.stored {
				records += len(again)
			}
			wantOnceInOrder(t, batch, readFake(t, c, records))
		})
	}
}

// The leader changes: the same Export finds the new one.
func TestKafkaLeaderChanges(t *testing.T) {
	c := fakeCluster(t, 3)
	k := openKafka(t, c.ListenAddrs()[0], fakeTopic)
	var all []redact.Record
	for i := range 6 {
		batch := groupsOf(t, i*40, 40, 20)
		all = append(all, batch...)
		mustExport(t, k, batch)
		for p := range int32(fakePartitions) {
			if err := c.MoveTopicPartition(fakeTopic, p, (c.LeaderFor(fakeTopic, p)+1)%3); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantOnceInOrder(t, all, readFake(t, c, len(all)))
	if n := countsOf(k)["partition_retry"]; n == 0 {
		t.Error("nothing was sent to the old leader: this test is blind")
	}
}

// A broker goes: its partitions get others as leaders.
func TestKafkaBrokerLeaves(t *testing.T) {
	c := fakeCluster(t, 3)
	k := openKafka(t, c.ListenAddrs()[0], fakeTopic)
	first := groupsOf(t, 0, 40, 20)
	mustExport(t, k, first)
	for p := range int32(fakePartitions) {
		if err := c.MoveTopicPartition(fakeTopic, p, 2); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.RemoveNode(0); err != nil {
		t.Fatal(err)
	}
	if err := c.RemoveNode(1); err != nil {
		t.Fatal(err)
	}
	second := groupsOf(t, 40, 40, 20)
	pushUntil(t, k, second, 10*time.Second)
	wantOnceInOrder(t, slices.Concat(first, second), readFake(t, c, 80))
}

// A batch that is too large for a broker is cut until it fits.
func TestKafkaFaultTooLarge(t *testing.T) {
	c := fakeCluster(t, 1)
	k := openKafka(t, c.ListenAddrs()[0], fakeTopic)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Partitions: []int32{2}, Err: kerr.MessageTooLarge, Count: 2})
	batch := groupsOf(t, 0, 200, 20)
	mustExport(t, k, batch)
	if n := countsOf(k)["split"]; n != 2 {
		t.Errorf("split: %d", n)
	}
	wantOnceInOrder(t, batch, readFake(t, c, len(batch)))
}

// refuseProduce answers the next request of produce with an error for each
// partition, and lets the rest through.
func refuseProduce(c *kfake.Cluster, answer func(p *kmsg.ProduceResponseTopicPartition, r *kmsg.ProduceResponse)) {
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		produce := req.(*kmsg.ProduceRequest)
		res := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range produce.Topics {
			t := kmsg.NewProduceResponseTopic()
			t.Topic = topic.Topic
			for _, partition := range topic.Partitions {
				p := kmsg.NewProduceResponseTopicPartition()
				p.Partition = partition.Partition
				answer(&p, res)
				t.Partitions = append(t.Partitions, p)
			}
			res.Topics = append(res.Topics, t)
		}
		return res, nil, true
	})
}

// The broker names records: those are refused, once each, and the rest stored.
func TestKafkaFaultOfRecords(t *testing.T) {
	c := fakeCluster(t, 1)
	k := openKafka(t, c.ListenAddrs()[0], fakeTopic, func(c *KafkaConfig) { c.Key = keyNone })
	refuseProduce(c, func(p *kmsg.ProduceResponseTopicPartition, _ *kmsg.ProduceResponse) {
		p.ErrorCode = kerr.InvalidRecord.Code
		for _, i := range []int32{3, 7, 7, -1, 999} { // twice, and nonsense
			bad := kmsg.NewProduceResponseTopicPartitionErrorRecord()
			bad.RelativeOffset = i
			p.ErrorRecords = append(p.ErrorRecords, bad)
		}
	})
	batch := redacttest.Many(t, 0, 10)
	err := k.Export(t.Context(), batch)
	var u *Undelivered
	if !errors.As(err, &u) || len(u.Retry) > 0 || u.Refused["rejected"] != 2 || len(u.Refused) != 1 {
		t.Fatalf("error: %v", err)
	}
	var got []string
	for _, r := range readFake(t, c, 8) {
		got = append(got, r.header("event_id"))
	}
	var want []string
	for i := range batch {
		if i != 3 && i != 7 {
			want = append(want, eventIDOf(&batch[i]))
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("stored (-want +got):\n%s", d)
	}
}

// A broker that asks to be left alone is left alone.
func TestKafkaThrottle(t *testing.T) {
	c := fakeCluster(t, 1)
	k := openKafka(t, c.ListenAddrs()[0], fakeTopic)
	const mute = 150 * time.Millisecond
	refuseProduce(c, func(p *kmsg.ProduceResponseTopicPartition, r *kmsg.ProduceResponse) {
		p.ErrorCode, r.ThrottleMillis = kerr.ThrottlingQuotaExceeded.Code, int32(mute.Milliseconds())
	})
	batch := redacttest.Many(t, 0, 3)
	begin := time.Now()
	err := k.Export(t.Context(), batch)
	if d := RetryDelay(err); d <= 0 || d > mute {
		t.Errorf("delay %s of %v", d, err)
	}
	mustExport(t, k, batch)
	if took := time.Since(begin); took < mute {
		t.Errorf("delivered after %s", took)
	}
}

// Export ends with its context, whatever the broker does, and a broker that
// hangs up has its records retried.
func TestKafkaContextEnds(t *testing.T) {
	c := fakeCluster(t, 1)
	k := openKafka(t, c.ListenAddrs()[0], fakeTopic)
	mustExport(t, k, redacttest.Many(t, 0, 1))
	ctx, cancel := context.WithCancel(t.Context())
	var asked atomic.Bool
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		asked.Store(true)
		cancel()
		c.SleepControl(func() { <-t.Context().Done() })
		return nil, errors.New("hang up"), true
	})
	begin := time.Now()
	if err := k.Export(ctx, redacttest.Many(t, 1, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
	if !asked.Load() || time.Since(begin) > 2*time.Second {
		t.Errorf("asked %t, after %s", asked.Load(), time.Since(begin))
	}
}

// Connections and goroutines go with the exporter, and SIGHUP may come at any
// time.
func TestKafkaLeavesNothingBehind(t *testing.T) {
	c := fakeCluster(t, 3)
	for range 3 { // the fake's own goroutines come and go
		k := openKafka(t, c.ListenAddrs()[0], fakeTopic)
		mustExport(t, k, groupsOf(t, 0, 40, 20))
		k.Close(t.Context())
	}
	before := stableGoroutines(t)
	for range 20 {
		k := openKafka(t, c.ListenAddrs()[0], fakeTopic)
		reopened := make(chan error, 1)
		go func() { reopened <- k.Reopen() }()
		for i := range 3 {
			mustExport(t, k, groupsOf(t, i*40, 40, 20))
		}
		if err := <-reopened; err != nil {
			t.Error(err)
		}
		if err := k.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := k.Reopen(); !errors.Is(err, ErrClosed) {
			t.Errorf("reopen after close: %v", err)
		}
	}
	waitFor(t, func() bool { return runtime.NumGoroutine() <= before })
}

// stableGoroutines waits until the number stays the same for a while.
func stableGoroutines(t *testing.T) (n int) {
	t.Helper()
	same := 0
	waitFor(t, func() bool {
		now := runtime.NumGoroutine()
		if now != n {
			n, same = now, 0
		}
		same++
		return same > 50
	})
	return n
}
