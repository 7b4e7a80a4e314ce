package live

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
)

// window is over how long rates are measured, at least: about a second, since a
// look may come a little early.
const window = 900 * time.Millisecond

// row is one group as a frame has it. Amounts are totals, rates are per second.
// Datagrams are counted; copies include those that were lost.
type row struct {
	ID int `json:"id"`
	// The names are sent once.
	Domain string `json:"domain,omitempty"`
	VLAN   string `json:"vlan,omitempty"`
	Group  string `json:"group,omitempty"` // empty: what had no room in the tables

	Sources     int     `json:"sources"`
	Subscribers int     `json:"subscribers"`
	PacketRate  float64 `json:"packet_rate"`
	BitRate     float64 `json:"bit_rate"` // of frames, without FCS
	CopyRate    float64 `json:"copy_rate"`
	DropRate    float64 `json:"drop_rate"`
	FailureRate float64 `json:"failure_rate"`
	Packets     uint64  `json:"packets"`
	Copies      uint64  `json:"copies"`
	Dropped     uint64  `json:"dropped"`
	Failed      uint64  `json:"failed_copies"`
}

// unnamed is the row as viewers get it who know its names.
func (r row) unnamed() row {
	r.Domain, r.VLAN, r.Group = "", "", ""
	return r
}

// sums are the counters of a group, or of all.
type sums struct{ packets, bytes, copies, dropped, failed uint64 }

// groupKey is a group before redaction.
type groupKey struct {
	domain string
	vlan   bpf.VLAN
	group  netip.Addr
}

// board is what viewers know. It belongs to one goroutine.
type board struct {
	policy *redact.Policy
	keyID  string // that the names were made with
	groups map[groupKey]*entry
	nextID int
	times  []time.Time // of the looks that rates are measured by, newest last
	losses map[lossKey]*lossEntry
}

type entry struct {
	row
	past []sums // at board.times; shorter for groups that came later
	tick time.Time
}

func newBoard(p *redact.Policy) *board {
	return &board{policy: p, keyID: p.KeyID(), groups: map[groupKey]*entry{}, losses: map[lossKey]*lossEntry{}}
}

// stale reports that names were made with a key that is no longer in force.
func (b *board) stale() bool { return b.policy.KeyID() != b.keyID }

// update takes in a view, and returns the rows that are new or changed, and the
// numbers of the groups that are gone.
func (b *board) update(view *collector.View) (changed []row, gone []int, places map[int]int) {
	seconds := b.advance(view.Time)
	places = make(map[int]int, len(view.Groups))
	var fresh []*entry
	for i := range view.Groups {
		g := &view.Groups[i]
		k := groupKey{g.Domain, bpf.MakeVLAN(g.VLAN, g.InnerVLAN), g.Group}
		e := b.groups[k]
		if e == nil {
			texts, ok := b.policy.Row([]redact.Class{redact.Domain, redact.Segment, redact.Group}, labelsOf(g)...)
			if !ok {
				continue // counted by the policy
			}
			e = &entry{row: row{Domain: texts[0], VLAN: texts[1], Group: texts[2]}}
			b.groups[k] = e
			fresh = append(fresh, e)
		}
		was := e.row
		e.tick = view.Time
		e.measure(g, len(b.times), seconds)
		if e.ID != 0 {
			places[e.ID] = i
			if e.row != was {
				changed = append(changed, e.row.unnamed())
			}
			continue
		}
		e.ID = -1 - i // until all new ones are there
	}
	changed = append(changed, b.number(fresh, places)...)
	for k, e := range b.groups {
		if !e.tick.Equal(view.Time) {
			gone = append(gone, e.ID)
			delete(b.groups, k)
		}
	}
	slices.Sort(gone)
	return changed, gone, places
}

// number gives numbers to new groups in the order of their texts: the order of
// the addresses would tell something about those that policy hides.
func (b *board) number(fresh []*entry, places map[int]int) (rows []row) {
	slices.SortFunc(fresh, func(x, y *entry) int {
		return cmp.Or(cmp.Compare(x.Domain, y.Domain), cmp.Compare(x.VLAN, y.VLAN), cmp.Compare(x.Group, y.Group))
	})
	for _, e := range fresh {
		place := -1 - e.ID
		b.nextID++
		e.ID = b.nextID
		places[e.ID] = place
		rows = append(rows, e.row)
	}
	return rows
}

// all returns every row, names included, in the order of their numbers.
func (b *board) all() []row {
	rows := make([]row, 0, len(b.groups))
	for _, e := range b.groups {
		rows = append(rows, e.row)
	}
	slices.SortFunc(rows, func(x, y row) int { return x.ID - y.ID })
	return rows
}

// advance notes the time of a look and returns over how many seconds rates are
// measured; 0: not yet.
func (b *board) advance(now time.Time) float64 {
	b.times = append(b.times, now)
	for len(b.times) > 1 && now.Sub(b.times[1]) >= window {
		b.times = b.times[1:]
	}
	return now.Sub(b.times[0]).Seconds()
}

// measure brings the row up to date.
func (e *entry) measure(g *collector.GroupView, looks int, seconds float64) {
	now := sumsOf(g)
	e.past = append(e.past, now)
	e.past = e.past[max(0, len(e.past)-looks):]
	var then sums // a group that was not there had counted nothing
	if len(e.past) == looks {
		then = e.past[0]
	}
	e.Sources, e.Subscribers = len(g.Sources), len(g.Subscribers)
	e.Packets, e.Copies, e.Dropped, e.Failed = now.packets, now.copies, now.dropped, now.failed
	e.PacketRate = rate(then.packets, now.packets, seconds)
	e.BitRate = 8 * rate(then.bytes, now.bytes, seconds)
	e.CopyRate = rate(then.copies, now.copies, seconds)
	e.DropRate = rate(then.dropped, now.dropped, seconds)
	e.FailureRate = rate(then.failed, now.failed, seconds)
}

func sumsOf(g *collector.GroupView) (s sums) {
	for _, src := range g.Sources {
		s.packets += src.Packets
		s.bytes += src.Bytes
		s.copies += src.Copies
	}
	for _, d := range g.Drops {
		s.dropped += d.Packets
	}
	for _, f := range g.Failures {
		s.failed += f.Packets
	}
	return s
}

// rate is per second, to a tenth. A counter that is below its last value began
// again at zero.
func rate(then, now uint64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	if now < then {
		then = 0
	}
	return math.Round(float64(now-then)/seconds*10) / 10
}

// labelsOf are what a group's row of names is made of.
func labelsOf(g *collector.GroupView) []redact.Label {
	return []redact.Label{redact.Name(g.Domain), redact.VLAN(bpf.MakeVLAN(g.VLAN, g.InnerVLAN)), redact.Addr(g.Group)}
}
