package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// Events of real traffic arrive in Kafka under the key of their group, as many
// as the agent says that it delivered.
func TestKafkaFromTheKernelToABroker(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "fanlight"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	broker := cluster.ListenAddrs()[0]
	n := labtest.NewConfig(t, lab.Config{Hosts: labtest.Hosts("pub", "sub1", "sub2")})
	cfg, events := agentConfig(t, n)
	cfg = strings.Replace(cfg, "events: [{", "events: [{type: kafka, brokers: [\""+broker+"\"], topic: fanlight}, {", 1)
	a := startConfig(t, cfg, events)
	group := addr("239.1.0.1")
	for _, name := range []string{"sub1", "sub2"} {
		listen(t, n.Host(name), lab.ListenConfig{Group: group})
	}
	a.joined(group, 2)
	send(t, n.Host("pub"), lab.SendConfig{Group: group, Count: 500, Rate: 20000})
	quiet(t, n)

	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics("fanlight"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	kinds, partitions := map[string]int{}, map[int32]bool{}
	for kinds["membership"] < 2 || kinds["replication"] < 1 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%v; so far: %v", err, kinds)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if string(r.Key) != "239.1.0.1" || !strings.Contains(string(r.Value), `"group":"239.1.0.1"`) {
				return
			}
			partitions[r.Partition] = true
			for _, h := range r.Headers {
				if h.Key == "kind" {
					kinds[string(h.Value)]++
				}
			}
		})
	}
	if len(partitions) != 1 {
		t.Errorf("one group is in %d partitions", len(partitions))
	}
	if n := a.scrape().sum("fanlight_sink_actions_total", `action="connected"`); n < 1 {
		t.Errorf("connections counted: %v", n)
	}
}
