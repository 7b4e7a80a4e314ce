package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/lab"
)

// errBooks marks a demo whose counts contradict each other.
var errBooks = errors.New("the books do not balance")

// books are the final counts of a demo: what the hosts sent and received, and
// what the agent says about it.
type books struct {
	length    time.Duration
	streams   []streamBook
	hosts     []hostBook
	overheard uint64 // frames of the groups at the host that never joined
	sinks     []collector.SinkStatus
}

// streamBook is one (S,G).
type streamBook struct {
	group, source   netip.Addr
	sent            uint64 // by the publisher
	packets, copies uint64 // counted by the datapath
	dropped, failed uint64 // counted by the datapath
	members         int
	received        uint64 // verified by the receivers, duplicates left out
	overflowed      uint64 // dropped by the kernel at full sockets
}

// hostBook is one receiver.
type hostBook struct {
	subscriber
	group  netip.Addr
	report lab.Report
	stream lab.StreamReport
	sent   uint64
}

func (h hostBook) missing() uint64 { return h.sent - min(h.sent, h.stream.Distinct) }

// settleTime bounds the wait for packets and events that are under way.
const settleTime = 5 * time.Second

// closeBooks stops the streams, waits until nothing is under way, and reads
// every count once.
func (d *demo) closeBooks(length time.Duration) (*books, error) {
	b := &books{length: length}
	for _, s := range d.network.streams {
		sent, err := s.Stop()
		if err != nil {
			return nil, err
		}
		b.streams = append(b.streams, streamBook{group: s.group, source: s.source, sent: sent})
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	if err := d.network.net.WaitQuiet(ctx, 50*time.Millisecond); err != nil {
		return nil, err
	}
	// What never balances is shown as it stands when the time is up.
	err := poll(ctx, "the books balance", func() (bool, error) {
		view, err := d.service.agent.View()
		if err != nil {
			return false, err
		}
		b.read(view, d.network)
		return b.err() == nil, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return b, err
}

// read takes the counts of the agent and of the receivers.
func (b *books) read(view collector.View, n *demoNetwork) {
	b.sinks, b.hosts, b.overheard = view.Sinks, nil, n.overheard.Count().Frames
	for i := range b.streams {
		s := &b.streams[i]
		*s = streamBook{group: s.group, source: s.source, sent: s.sent}
		s.readView(view)
		for _, r := range n.receivers {
			if r.group != s.group {
				continue
			}
			report := r.Report()
			h := hostBook{r.subscriber, r.group, report, report.Streams[n.streams[i].ID], s.sent}
			b.hosts = append(b.hosts, h)
			s.received += h.stream.Distinct
			s.overflowed += report.Dropped
		}
	}
}

func (s *streamBook) readView(view collector.View) {
	for _, g := range view.Groups {
		if g.Group != s.group {
			continue
		}
		s.members = len(g.Subscribers)
		for _, src := range g.Sources {
			if src.Source == s.source {
				s.packets, s.copies = src.Packets, src.Copies
			}
		}
		for _, f := range g.Failures {
			s.failed += f.Packets
		}
		for _, l := range g.Drops {
			s.dropped += l.Packets
		}
	}
}

// balance is one statement that must hold.
type balance struct {
	what        string
	left, right uint64
}

func (b *books) balances() []balance {
	var sent, packets, dropped, wanted, copies, received, lost, bad uint64
	for _, s := range b.streams {
		sent += s.sent
		packets += s.packets
		dropped += s.dropped
		wanted += (s.packets - s.dropped) * uint64(s.members)
		copies += s.copies
		received += s.received
		lost += s.failed + s.overflowed
	}
	for _, h := range b.hosts {
		bad += h.report.Corrupt + h.stream.Duplicated
	}
	all := []balance{
		{"packets sent = packets counted by the datapath", sent, packets},
		{"copies = forwarded packets x members", copies, wanted},
		{"copies = received by the hosts + counted losses", copies, received + lost},
		{"corrupt or duplicate datagrams at the hosts = 0", bad, 0},
		{"frames of the groups at the host that never joined = 0", b.overheard, 0},
	}
	for _, s := range b.sinks {
		all = append(all, balance{eventsBalance(s), s.Produced, s.Delivered + s.Filtered + s.TotalLost()})
	}
	return all
}

// eventsBalance says what must hold for an exporter; one that filters says so.
func eventsBalance(s collector.SinkStatus) string {
	if s.Filtered == 0 {
		return "events produced = delivered + lost, exporter " + s.Name
	}
	return "events produced = delivered + filtered + lost, exporter " + s.Name
}

// err names what does not balance.
func (b *books) err() error {
	var wrong []string
	for _, x := range b.balances() {
		if x.left != x.right {
			wrong = append(wrong, fmt.Sprintf("%s: %d against %d", x.what, x.left, x.right))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", errBooks, strings.Join(wrong, "; "))
}

// summary is what the demo ends with.
func (b *books) summary(events string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "\nSummary after %v\n\n", elapsed(b.length))
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "GROUP\tSOURCE\tSENT\tDROPPED\tMEMBERS\tCOPIES\tFAILED\tRECEIVED")
	for _, s := range b.streams {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\n",
			s.group, s.source, s.sent, s.dropped, s.members, s.copies, s.failed, s.received)
	}
	t.Flush()
	fmt.Fprintln(t, "\nHOST\tGROUP\tRECEIVED\tMISSING\tDUPLICATE\tCORRUPT\tSOCKET FULL")
	for _, h := range b.hosts {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\n", h.host.Name, h.group, h.stream.Distinct, h.missing(),
			h.stream.Duplicated, h.report.Corrupt, h.report.Dropped)
	}
	fmt.Fprintf(t, "idle\tnone: it never joined\t%d\t\t\t\t\n", b.overheard)
	t.Flush()
	fmt.Fprintln(&out)
	for _, x := range b.balances() {
		verdict := "ok    "
		if x.left != x.right {
			verdict = "WRONG "
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\n", verdict, x.what, x.left, x.right)
	}
	t.Flush()
	fmt.Fprintf(&out, "\nevents: %s\n", events)
	return out.Bytes()
}
