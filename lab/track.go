package lab

// StreamReport tells what a receiver got of one stream.
type StreamReport struct {
	// Received counts intact datagrams, Distinct those that were not duplicates.
	Received, Distinct uint64
	// Duplicated counts datagrams that came before, Reordered those that came
	// after one with a higher number.
	Duplicated, Reordered uint64
	// Missing counts the numbers between First and Last that never came.
	Missing uint64
	// First and Last are the lowest and the highest number received.
	First, Last uint64
}

// maxTracked bounds the memory of a tracker to 32 MB: datagrams with a higher
// number count as corrupt.
const maxTracked = 1 << 28

// tracker remembers which numbers of a stream came.
type tracker struct {
	seen   []uint64 // one bit per number
	report StreamReport
}

// add records a number, and reports false if it is beyond all bounds.
func (t *tracker) add(seq uint64) bool {
	if seq >= maxTracked {
		return false
	}
	word, bit := seq/64, uint64(1)<<(seq%64)
	if missing := int(word) + 1 - len(t.seen); missing > 0 {
		t.seen = append(t.seen, make([]uint64, missing)...)
	}
	r := &t.report
	r.Received++
	if t.seen[word]&bit != 0 {
		r.Duplicated++
		return true
	}
	t.seen[word] |= bit
	if r.Distinct == 0 {
		r.First, r.Last = seq, seq
	}
	r.Distinct++
	if seq < r.Last {
		r.Reordered++
	}
	r.First, r.Last = min(r.First, seq), max(r.Last, seq)
	r.Missing = r.Last - r.First + 1 - r.Distinct
	return true
}
