package main

import (
	"bytes"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/collector"
)

func TestGroupsTable(t *testing.T) {
	source, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	then := time.Unix(1000, 0)
	view := func(at time.Time, packets uint64) collector.View {
		return collector.View{Time: at, Groups: []collector.GroupView{
			{Domain: "lab", Group: netip.MustParseAddr("233.252.0.1"),
				Sources: []collector.SourceView{
					{Source: netip.Addr{}, Packets: packets / 2, Bytes: 50 * packets, Copies: packets / 2},
					{Source: source, Packets: packets, Bytes: 1000 * packets, Copies: 2 * packets},
					{Source: other, Packets: 7, Bytes: 700, Copies: 14}, // silent
				},
				Subscribers: []collector.SubscriberView{{Interface: "p0", Protocol: "igmpv3"}, {Interface: "p1", Protocol: "igmpv2"}},
				Drops:       []collector.DropView{{Reason: "wrong_source", Packets: 5}},
				Failures:    []collector.FailureView{{Interface: "p1", Reason: "backlog_full", Packets: 9}},
			},
			{Domain: "lab", Group: netip.MustParseAddr("ff15::1"), VLAN: 7, Subscribers: []collector.SubscriberView{{Interface: "p2", Protocol: "mldv2"}}},
			{Domain: "lab", Group: netip.MustParseAddr("233.252.0.2"), VLAN: 7, InnerVLAN: 8, Sources: []collector.SourceView{{Source: source}}},
			{Domain: "lab", Group: netip.MustParseAddr("ff02::1:ff00:1"), Subscribers: []collector.SubscriberView{{Interface: "p2", Protocol: "mldv2"}}},
			{Domain: "lab", Drops: []collector.DropView{{Reason: "not_allowed", Packets: 3}}},
		}}
	}
	var out bytes.Buffer
	appendGroups(&out, groupRows(view(then, 1000), view(then.Add(2*time.Second), 3000)))
	out.WriteString("\nThe counters began again:\n")
	appendGroups(&out, groupRows(view(then, 1000), view(then.Add(2*time.Second), 10)))
	golden(t, filepath.Join("testdata", "groups.golden"), out.String())
}

// TestBooks: each contradiction is named, and what was lost and counted is none.
func TestBooks(t *testing.T) {
	balanced := func() *books {
		return &books{
			streams: []streamBook{{sent: 100, packets: 100, members: 2, copies: 200, failed: 3, overflowed: 2, received: 195}},
			sinks: []collector.SinkStatus{{
				Name: "file", Produced: 10, Delivered: 8, Lost: map[collector.LossPoint]uint64{{Stage: "ring", Reason: "full"}: 2},
			}},
		}
	}
	if err := balanced().err(); err != nil {
		t.Errorf("balanced books: %v", err)
	}
	for _, c := range []struct {
		spoil func(*books)
		want  string
	}{
		{func(b *books) { b.streams[0].sent++ }, "the books do not balance: packets sent = packets counted by the datapath: 101 against 100"},
		{func(b *books) { b.streams[0].members = 3 }, "the books do not balance: copies = forwarded packets x members: 200 against 300"},
		{func(b *books) { b.streams[0].received-- }, "the books do not balance: copies = received by the hosts + counted losses: 200 against 199"},
		{func(b *books) { b.overheard = 1 }, "the books do not balance: frames of the groups at the host that never joined = 0: 1 against 0"},
		{func(b *books) { b.hosts = []hostBook{{}}; b.hosts[0].report.Corrupt = 4 }, "the books do not balance: corrupt or duplicate datagrams at the hosts = 0: 4 against 0"},
		{func(b *books) { b.sinks[0].Lost = nil }, "the books do not balance: events produced = delivered + lost, exporter file: 10 against 8"},
	} {
		b := balanced()
		c.spoil(b)
		if err := b.err(); err == nil || err.Error() != c.want {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

func TestNoticesKeepTheLast(t *testing.T) {
	var n notices
	for _, line := range []string{"a\n", "b\n", "c\n", "d\n"} {
		if _, err := n.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if want, got := "b\nc\nd\n", n.String(); want != got {
		t.Errorf("%q, want %q", got, want)
	}
}
