package redact

// memo remembers what was made of values, up to a bound: a clock cache, so that
// a hit costs one look-up and a flood of new values pushes out old ones, not
// all.
type memo[K comparable, V any] struct {
	render  func(K) V
	index   map[K]int32
	entries []memoEntry[K, V]
	hand    int
	limit   int
}

type memoEntry[K comparable, V any] struct {
	key   K
	value V
	used  bool
}

func newMemo[K comparable, V any](limit int, render func(K) V) *memo[K, V] {
	return &memo[K, V]{render: render, index: make(map[K]int32), limit: limit}
}

func (m *memo[K, V]) get(k K) V {
	if i, ok := m.index[k]; ok {
		e := &m.entries[i]
		e.used = true
		return e.value
	}
	return m.add(k)
}

func (m *memo[K, V]) add(k K) V {
	value := m.render(k)
	if len(m.entries) < m.limit {
		m.index[k] = int32(len(m.entries))
		m.entries = append(m.entries, memoEntry[K, V]{key: k, value: value})
		return value
	}
	for m.entries[m.hand].used {
		m.entries[m.hand].used = false
		m.hand = (m.hand + 1) % len(m.entries)
	}
	e := &m.entries[m.hand]
	delete(m.index, e.key)
	*e = memoEntry[K, V]{key: k, value: value}
	m.index[k] = int32(m.hand)
	m.hand = (m.hand + 1) % len(m.entries)
	return value
}
