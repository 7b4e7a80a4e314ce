package redact

import "math"

// A Reading is one series as it is at one moment.
type Reading struct {
	row   *row
	value uint64
}

// Serial numbers the series of its family, in the order in which they came. A
// series that was removed and made again has another number and counts from
// zero.
func (r Reading) Serial() uint64 { return r.row.serial }

// Labels returns the redacted values of the family's labels, in the table's
// order; an empty one is left out of the series. Read them, don't change them.
func (r Reading) Labels() []string { return r.row.values }

// Count returns the value of a counter, or of a gauge that is not in seconds.
func (r Reading) Count() uint64 { return r.value }

// Seconds returns the value of a family whose unit is seconds.
func (r Reading) Seconds() float64 { return math.Float64frombits(r.value) }

// Read brings values up to date and calls visit with each series, family by
// family. It allocates nothing for a series. Meanwhile pages wait, so visit must be quick; it
// must not call methods of Metrics or Series.
func (m *Metrics) Read(visit func(Family, Reading)) {
	m.scrape.Lock()
	defer m.scrape.Unlock()
	m.update()
	for f := range numFamilies {
		m.families[f].read(f, visit)
	}
}

func (r *familyRows) read(f Family, visit func(Family, Reading)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.rows {
		visit(f, Reading{line, line.value.Load()})
	}
}

// Origin returns the redacted name of the host and its boot id, as records have
// them, or nothing while the policy has no key.
func (m *Metrics) Origin() (node, bootID string) {
	m.policy.mu.Lock()
	defer m.policy.mu.Unlock()
	if !m.policy.ready() {
		return "", ""
	}
	return m.policy.engine.origin.node, m.policy.engine.origin.bootID
}
