package bpf

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// TestFanOutEvents: the first packet under a changed list tells of the change,
// with the generation that SetGroup returned.
func TestFanOutEvents(t *testing.T) {
	r := newRig(t, 4, func(o *Options) { o.Budgets.Change = time.Nanosecond })
	frame := bpftest.UDP(sender, "239.1.1.1", "x").Bytes()
	event := func(action string, from, to, generation, packets, copies int) string {
		return fmt.Sprintf("d0 replication %s>239.1.1.1 p1 %s fanout %d>%d generation %d packets %d copies %d failures 0",
			sender, action, from, to, generation, packets, copies)
	}
	for _, step := range []struct {
		ports []int
		want  []string
	}{
		{[]int{2}, []string{event("first", 0, 1, 1, 1, 1)}},
		{[]int{2, 3, 4}, []string{event("fanout", 1, 3, 2, 3, 5)}},
		{[]int{3}, []string{event("fanout", 3, 1, 3, 5, 9)}},
		{[]int{4}, []string{event("fanout", 1, 1, 4, 7, 11)}}, // another one of the same number
	} {
		r.join(t, "239.1.1.1", 0, step.ports...)
		r.run(t, 1, frame, 1)
		r.run(t, 1, frame, 1) // no event: nothing changed
		if diff := cmp.Diff(step.want, r.drain(t)); diff != "" {
			t.Errorf("ports %v (-want +got):\n%s", step.ports, diff)
		}
	}
}

// TestChangeTimes: a fan-out event carries the time of the first packet under
// the new list and of the last one under the old, however late it is sent.
func TestChangeTimes(t *testing.T) {
	const budget = 50 * time.Millisecond
	r := newRig(t, 3, func(o *Options) { o.Budgets.Change = budget })
	frame := bpftest.UDP(sender, "239.1.1.1", "x").Bytes()
	r.join(t, "239.1.1.1", 0, 2)
	r.run(t, 1, frame, 1)
	last := Now()
	r.drain(t)
	r.join(t, "239.1.1.1", 0, 2, 3)
	r.run(t, 1, frame, 1)
	first := Now()
	var changes []Change
	eventually(t, "fan-out event", func() bool {
		r.run(t, 1, frame, 1)
		_, err := r.events.Drain(100, func(ev *Event, c Change) {
			if ev.Action == "fanout" {
				changes = append(changes, c)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return len(changes) > 0
	})
	c := changes[0]
	if c.Generation == 0 || c.Before > last || c.At <= last || c.At > first {
		t.Errorf("change %+v, want a generation, before at most %v, at from %v to %v", c, last, last, first)
	}
}

// TestPeriodicAndSampledEvents: running totals by time, and by packets where the
// group asks for it.
func TestPeriodicAndSampledEvents(t *testing.T) {
	r := newRig(t, 2, func(o *Options) { o.Budgets.Periodic = time.Nanosecond })
	r.join(t, "239.1.1.1", 0, 2)
	frame := bpftest.UDP(sender, "239.1.1.1", "x").Bytes()
	actions := func(n int) (got []string) {
		for range n {
			r.run(t, 1, frame, 1)
		}
		if _, err := r.events.Drain(100, func(ev *Event, _ Change) {
			got = append(got, fmt.Sprint(ev.Action, " ", ev.Packets))
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if diff := cmp.Diff([]string{"first 1", "periodic 2", "periodic 3"}, actions(3)); diff != "" {
		t.Errorf("by time (-want +got):\n%s", diff)
	}

	r = newRig(t, 2)
	r.setGroup(t, "239.1.1.1", 0, Forwarding{Any: r.at(2), Sample: 3})
	if diff := cmp.Diff([]string{"first 1", "sample 3", "sample 6"}, actions(7)); diff != "" {
		t.Errorf("by packets (-want +got):\n%s", diff)
	}
}

// TestDropBudget: what a budget holds back is told by the next event, and no
// amount is lost.
func TestDropBudget(t *testing.T) {
	r := newRig(t, 2, func(o *Options) { o.Budgets.Drop = 20 * time.Millisecond })
	frame := bpftest.UDP(sender, "239.1.1.1", "x").Bytes()
	sent, told := uint64(0), uint64(0)
	var last Event
	eventually(t, "second event", func() bool {
		r.run(t, 1, frame, 1)
		sent++
		if _, err := r.events.Drain(100, func(ev *Event, _ Change) { told, last = told+1, *ev }); err != nil {
			t.Fatal(err)
		}
		return told == 2
	})
	if last.Packets != sent || last.Suppressed != sent-2 || last.Reason != "unregistered" {
		t.Errorf("after %d drops: packets %d, suppressed %d, reason %s", sent, last.Packets, last.Suppressed, last.Reason)
	}
}

// TestFullEventRing: events that nobody reads are lost and counted; counters
// stay exact; the reader sees how many are missing.
func TestFullEventRing(t *testing.T) {
	r := newRig(t, 2, func(o *Options) { o.Settings.EventRingBytes = 4096 })
	r.setGroup(t, "239.1.1.1", 0, Forwarding{Any: r.at(2), Sample: 1})
	frame := bpftest.UDP(sender, "239.1.1.1", "x").Bytes()
	const sent = 200
	for range sent {
		r.run(t, 1, frame, 1)
	}
	counts, err := r.d.EventCounts()
	if err != nil {
		t.Fatal(err)
	}
	c := counts[0]
	if c.Kind != KindReplication || c.Produced != sent || c.Lost == 0 {
		t.Errorf("counted %+v, want %d produced and some lost", c, sent)
	}
	if s := r.state(t).Streams[sender+">239.1.1.1"]; s.Packets != sent || s.Copies != sent {
		t.Errorf("stream counted %+v", s)
	}
	read := uint64(len(r.drain(t)))
	if read+c.Lost != sent || r.events.Gaps != 0 {
		t.Errorf("%d read and %d lost of %d, %d missing", read, c.Lost, sent, r.events.Gaps)
	}
	r.run(t, 1, frame, 1)
	if got := r.drain(t); len(got) != 1 || r.events.Gaps != c.Lost || r.events.Bad != 0 {
		t.Errorf("next event: %v; %d missing, want %d; %d bad", got, r.events.Gaps, c.Lost, r.events.Bad)
	}
}
