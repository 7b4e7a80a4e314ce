package groupname

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
)

// segment is a stretch of addresses that one entry names. Segments of a list
// don't overlap and are sorted.
type segment struct {
	first, last netip.Addr
	entry       *Entry
}

// search returns the entry of the segment that holds the address, or nil.
func search(list []segment, a netip.Addr) *Entry {
	i, found := slices.BinarySearchFunc(list, a, func(s segment, a netip.Addr) int { return s.first.Compare(a) })
	if !found {
		i--
	}
	if i < 0 || a.Compare(list[i].last) > 0 {
		return nil
	}
	return list[i].entry
}

// flatten cuts ranges that overlap into segments, each of the entry that is to
// win there: the narrowest, and of equal ones the later. It walks over all ends
// of ranges with those that are open.
func flatten(entries []Entry) (list []segment) {
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.First.Compare(b.First) })
	var starts []netip.Addr // where the winner may change
	for i := range entries {
		starts = append(starts, entries[i].First)
		if next := entries[i].Last.Next(); next.IsValid() {
			starts = append(starts, next)
		}
	}
	slices.SortFunc(starts, netip.Addr.Compare)
	starts = slices.Compact(starts)
	var open openRanges
	for i, at := range starts {
		for len(entries) > 0 && entries[0].First == at {
			heap.Push(&open, &entries[0])
			entries = entries[1:]
		}
		for len(open) > 0 && open[0].Last.Less(at) {
			heap.Pop(&open)
		}
		if len(open) == 0 {
			continue
		}
		last := open[0].Last
		if i+1 < len(starts) {
			last = starts[i+1].Prev()
		}
		if n := len(list); n > 0 && list[n-1].entry == open[0] && list[n-1].last.Next() == at {
			list[n-1].last = last
			continue
		}
		list = append(list, segment{at, last, open[0]})
	}
	return list
}

// openRanges is a heap with the winner first.
type openRanges []*Entry

func (h openRanges) Len() int           { return len(h) }
func (h openRanges) Less(i, j int) bool { return beats(h[i], h[j]) }
func (h openRanges) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *openRanges) Push(x any)        { *h = append(*h, x.(*Entry)) }

func (h *openRanges) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// beats orders entries whose ranges overlap. A range inside another is the
// narrower one; where neither is, the size decides.
func beats(a, b *Entry) bool {
	return cmp.Or(size(a).compare(size(b)), cmp.Compare(b.rank, a.rank)) < 0
}

// width is the number of addresses in a range, less one.
type width struct{ high, low uint64 }

func (w width) compare(o width) int {
	return cmp.Or(cmp.Compare(w.high, o.high), cmp.Compare(w.low, o.low))
}

func size(e *Entry) width {
	first, last := e.First.As16(), e.Last.As16()
	low, borrow := bits.Sub64(binary.BigEndian.Uint64(last[8:]), binary.BigEndian.Uint64(first[8:]), 0)
	high, _ := bits.Sub64(binary.BigEndian.Uint64(last[:8]), binary.BigEndian.Uint64(first[:8]), borrow)
	return width{high, low}
}
