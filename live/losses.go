package live

import (
	"cmp"
	"slices"

	"github.com/fanlight-io/fanlight/collector"
)

type lossKey struct {
	lost   string // packet or copy
	reason string
}

type lossEntry struct{ past []uint64 }

// loss is what all groups together lost for one reason.
type loss struct {
	Lost   string  `json:"lost"` // packet: on its way in; copy: of one port
	Reason string  `json:"reason"`
	Total  uint64  `json:"total"`
	Rate   float64 `json:"rate"` // per second
}

// lossesOf adds up what the groups lost, after update took in the view.
func (b *board) lossesOf(view *collector.View) []loss {
	now := map[lossKey]uint64{}
	for i := range view.Groups {
		for _, d := range view.Groups[i].Drops {
			now[lossKey{"packet", d.Reason}] += d.Packets
		}
		for _, f := range view.Groups[i].Failures {
			now[lossKey{"copy", f.Reason}] += f.Packets
		}
	}
	looks := len(b.times)
	seconds := b.times[looks-1].Sub(b.times[0]).Seconds()
	list := []loss{}
	for k, n := range now {
		e := b.losses[k]
		if e == nil {
			e = &lossEntry{}
			b.losses[k] = e
		}
		e.past = append(e.past, n)
		e.past = e.past[max(0, len(e.past)-looks):]
		then := uint64(0)
		if len(e.past) == looks {
			then = e.past[0]
		}
		list = append(list, loss{k.lost, k.reason, n, rate(then, n, seconds)})
	}
	for k := range b.losses {
		if _, there := now[k]; !there {
			delete(b.losses, k)
		}
	}
	slices.SortFunc(list, func(x, y loss) int {
		return cmp.Or(-cmp.Compare(x.Lost, y.Lost), cmp.Compare(x.Reason, y.Reason))
	})
	return list
}
