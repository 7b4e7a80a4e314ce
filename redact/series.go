package redact

import (
	"maps"
	"math"
	"strconv"
	"sync/atomic"
)

// Series is the handle of one identity's series. Either one goroutine at a time
// calls Set and Remove, or any number call Add; different handles are
// independent. Setting takes no lock and allocates nothing. What is set after
// Remove is ignored.
type Series struct {
	row     *row
	typ     MetricType
	float   bool // the family's values are fractions
	family  *familyRows
	last    uint64        // what Set put into the row; an atomic would double the cost of a scrape's Set
	added   atomic.Uint64 // what Add did
	removed atomic.Bool
}

func newSeries(line *row, info *FamilyInfo, family *familyRows) *Series {
	return &Series{row: line, typ: info.Type, float: info.float(), family: family}
}

// row is one line of a page: the sum of what its handles set.
type row struct {
	text   string // name and labels, up to the value
	values []string
	serial uint64 // of the rows that the family has had
	value  atomic.Uint64
	other  bool // takes what the budget refuses; stays for ever
	owners int  // guarded by familyRows.mu, as index is
	index  int
}

// Set sets the value. A counter never goes back: a value below the last one
// means that its source began again at zero, and is added to what was.
func (s *Series) Set(v uint64) {
	if s.float {
		s.SetFloat(float64(v))
		return
	}
	if s.removed.Load() {
		return
	}
	old := s.last
	if v == old {
		return
	}
	s.last = v
	if s.typ == CounterType && v < old {
		old = 0
	}
	s.row.value.Add(v - old) // wraps around for a gauge that sinks
}

// Add adds to the value. It does nothing to a time, which is set.
func (s *Series) Add(n uint64) {
	if s.float || s.removed.Load() {
		return
	}
	s.added.Add(n)
	s.row.value.Add(n)
}

// SetFloat sets the value of a family in seconds. Where several identities
// share a line beyond the budget, the newest time stands. In other families it
// is rounded to a whole number, and to 0 if negative.
func (s *Series) SetFloat(v float64) {
	if s.removed.Load() {
		return
	}
	if !s.float {
		s.Set(uint64(max(0, math.Round(v))))
		return
	}
	if !s.row.other {
		s.row.value.Store(math.Float64bits(v))
		return
	}
	for {
		old := s.row.value.Load()
		if math.Float64frombits(old) >= v || s.row.value.CompareAndSwap(old, math.Float64bits(v)) {
			return
		}
	}
}

// Remove takes the series off the page and gives its place in the budget back.
// A shared counter keeps what it counted; a shared gauge loses its part. A
// series that is made again for the same thing starts from zero, so keep the
// handle as long as the count that it shows.
func (s *Series) Remove() {
	if s.removed.Swap(true) {
		return
	}
	if s.typ == GaugeType && !s.float {
		s.row.value.Add(-(s.last + s.added.Load()))
	}
	s.family.release(s.row)
}

// Folded reports whether the budget gave the series no line of its own. Such a
// line has no label that depends on the identity.
func (s *Series) Folded() bool {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	return s.row.other
}

func (r *familyRows) release(line *row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	line.owners--
	if line.owners > 0 || line.other || r.byText[line.text] != line {
		return
	}
	last := r.rows[len(r.rows)-1]
	r.rows[line.index], last.index = last, line.index
	r.rows[len(r.rows)-1] = nil
	r.rows = r.rows[:len(r.rows)-1]
	delete(r.byText, line.text)
	r.used--
	if r.shrink(); len(r.rows) == 0 {
		r.rows = nil
	}
}

// shrink gives memory back when most rows are gone: maps don't do that.
func (r *familyRows) shrink() {
	r.most = max(r.most, len(r.byText)+1)
	if r.most < 1024 || len(r.byText) > r.most/4 {
		return
	}
	r.most = len(r.byText)
	byText := make(map[string]*row, r.most)
	maps.Copy(byText, r.byText)
	r.byText, r.rows = byText, append(make([]*row, 0, len(r.rows)), r.rows...)
}

func (l *row) append(dst []byte, float bool) []byte {
	dst = append(dst, l.text...)
	if v := l.value.Load(); float {
		dst = appendFloat(dst, math.Float64frombits(v))
	} else {
		dst = strconv.AppendUint(dst, v, 10)
	}
	return append(dst, '\n')
}
