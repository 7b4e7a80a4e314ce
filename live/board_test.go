package live

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// viewOf has a source that sent so many packets of 100 bytes to each group.
func viewOf(at time.Duration, packets map[string]uint64) *collector.View {
	v := &collector.View{Time: time.Unix(1000, 0).Add(at)}
	for i := range 10 { // maps have no order
		group := fmt.Sprintf("239.0.0.%d", i)
		n, there := packets[group]
		if !there {
			continue
		}
		v.Groups = append(v.Groups, collector.GroupView{
			Domain: "lab", Group: netip.MustParseAddr(group),
			Sources: []collector.SourceView{{Packets: n, Bytes: 100 * n, Copies: 3 * n}},
			Drops:   []collector.DropView{{Reason: "ttl", Packets: n / 10}},
		})
	}
	return v
}

// TestBoard takes one look after the other.
func TestBoard(t *testing.T) {
	b := newBoard(redacttest.Policy(t, redact.RevealProfile))
	quiet := row{ID: 2, Sources: 1}
	row1 := func(rate float64, packets uint64) row {
		return row{ID: 1, Sources: 1, PacketRate: rate, BitRate: 800 * rate, CopyRate: 3 * rate, DropRate: rate / 10, Packets: packets, Copies: 3 * packets, Dropped: packets / 10}
	}
	named := func(r row, group string) row {
		r.Domain, r.Group = "lab", group
		return r
	}
	for i, look := range []struct {
		at      time.Duration
		packets map[string]uint64
		changed []row
		gone    []int
	}{
		{0, map[string]uint64{"239.0.0.1": 1000}, []row{named(row1(0, 1000), "239.0.0.1")}, nil},
		{500 * time.Millisecond, map[string]uint64{"239.0.0.1": 1100}, []row{row1(200, 1100)}, nil},
		{1000 * time.Millisecond, map[string]uint64{"239.0.0.1": 1200, "239.0.0.2": 0}, []row{row1(200, 1200), named(quiet, "239.0.0.2")}, nil},
		{1500 * time.Millisecond, map[string]uint64{"239.0.0.1": 1200, "239.0.0.2": 0}, []row{row1(100, 1200)}, nil},
		{2000 * time.Millisecond, map[string]uint64{"239.0.0.1": 1200, "239.0.0.2": 0}, []row{row1(0, 1200)}, nil},
		{2500 * time.Millisecond, map[string]uint64{"239.0.0.1": 1200, "239.0.0.2": 0}, nil, nil},
		{3000 * time.Millisecond, map[string]uint64{"239.0.0.1": 100, "239.0.0.2": 0}, []row{row1(100, 100)}, nil}, // it began again
		{3500 * time.Millisecond, map[string]uint64{"239.0.0.2": 0}, nil, []int{1}},
		{4000 * time.Millisecond, map[string]uint64{"239.0.0.1": 100, "239.0.0.2": 0}, []row{named(row{ID: 3, Sources: 1, PacketRate: 100, BitRate: 80000,
			CopyRate: 300, DropRate: 10, Packets: 100, Copies: 300, Dropped: 10}, "239.0.0.1")}, nil},
	} {
		changed, gone, places := b.update(viewOf(look.at, look.packets))
		if diff := cmp.Diff(look.changed, changed); diff != "" {
			t.Errorf("look %d: changed (-want +got):\n%s", i, diff)
		}
		if diff := cmp.Diff(look.gone, gone); diff != "" {
			t.Errorf("look %d: gone (-want +got):\n%s", i, diff)
		}
		if len(places) != len(look.packets) || len(b.all()) != len(look.packets) {
			t.Errorf("look %d: %d places and %d rows of %d groups", i, len(places), len(b.all()), len(look.packets))
		}
	}
}

func TestLosses(t *testing.T) {
	b := newBoard(redacttest.Policy(t, redact.RevealProfile))
	for i, look := range []struct {
		packets uint64
		want    []loss
	}{
		{100, []loss{{"packet", "ttl", 20, 0}}},
		{200, []loss{{"packet", "ttl", 40, 40}}},
		{200, []loss{{"packet", "ttl", 40, 20}}},
		{200, []loss{{"packet", "ttl", 40, 0}}},
	} {
		v := viewOf(time.Duration(i)*500*time.Millisecond, map[string]uint64{"239.0.0.1": look.packets, "239.0.0.2": look.packets})
		b.update(v)
		if diff := cmp.Diff(look.want, b.lossesOf(v)); diff != "" {
			t.Errorf("look %d (-want +got):\n%s", i, diff)
		}
	}
}

// TestNumbersTellNoOrder: groups are numbered in the order of what is shown of
// them.
func TestNumbersTellNoOrder(t *testing.T) {
	b := newBoard(redacttest.Policy(t, redact.StrictProfile))
	packets := map[string]uint64{}
	for i := range 10 {
		packets[fmt.Sprintf("239.0.0.%d", i)] = 1
	}
	changed, _, _ := b.update(viewOf(0, packets))
	for i := 1; i < len(changed); i++ {
		if changed[i-1].Group > changed[i].Group || changed[i].ID != changed[i-1].ID+1 {
			t.Errorf("%d is %s, %d is %s", changed[i-1].ID, changed[i-1].Group, changed[i].ID, changed[i].Group)
		}
	}
	if len(changed) != 10 {
		t.Errorf("%d rows of 10 groups", len(changed))
	}
}

func TestTimelineKeepsTheLast(t *testing.T) {
	p := redacttest.Policy(t, redact.DefaultProfile)
	tl := newTimeline(p)
	records := p.Apply(nil, redacttest.Events())
	for tl.count < 2*maxChanges {
		if err := tl.Export(t.Context(), records); err != nil {
			t.Fatal(err)
		}
	}
	events, next, missing := tl.since(10)
	if len(events) != maxChanges || next != tl.count || missing != tl.count-maxChanges-10 {
		t.Errorf("%d events, next %d, missing %d of %d", len(events), next, missing, tl.count)
	}
	if events, _, missing := tl.since(tl.count - 3); len(events) != 3 || missing != 0 {
		t.Errorf("the last 3: %d events, missing %d", len(events), missing)
	}
	if n := len(tl.before(tl.count - 5)); n != maxChanges-5 {
		t.Errorf("before the last 5: %d events", n)
	}
}
