package snoop

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// simHost is a host as RFC 9776 section 5 describes it: it reports what its
// filters become, and answers queries at once.
type simHost struct {
	addr    string
	port    Port
	version int
	filters map[string]simFilter // by group; no entry means nothing wanted
}

type simFilter struct {
	mode    FilterMode
	sources []string // sorted
}

func (f simFilter) wants(s string) bool {
	return slices.Contains(f.sources, s) == (f.mode == Include)
}

func minus(a, b []string) (list []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			list = append(list, s)
		}
	}
	return list
}

// set changes the filter and returns the reports about it, section 5.1.
func (h *simHost) set(g string, to simFilter) (reports [][]byte) {
	from := h.filters[g]
	if to.mode == Include && len(to.sources) == 0 {
		delete(h.filters, g)
	} else {
		h.filters[g] = to
	}
	if h.version == 2 {
		if to.mode == Exclude {
			return [][]byte{v2Report(h.addr, g)}
		}
		return [][]byte{v2Leave(h.addr, g)}
	}
	switch {
	case from.mode == Include && to.mode == Exclude:
		return [][]byte{v3Report(h.addr, rec(toExclude, g, to.sources...))}
	case from.mode == Exclude && to.mode == Include:
		return [][]byte{v3Report(h.addr, rec(toInclude, g, to.sources...))}
	}
	added, removed := minus(to.sources, from.sources), minus(from.sources, to.sources)
	if to.mode == Exclude {
		added, removed = removed, added
	}
	return [][]byte{v3Report(h.addr, rec(allow, g, added...), rec(block, g, removed...))}
}

// answer returns the host's reports to a query, section 5.2.
func (h *simHost) answer(q query) (reports [][]byte) {
	for g, f := range h.filters {
		if q.group.IsValid() && q.group != addr(g) {
			continue
		}
		if h.version == 2 {
			reports = append(reports, v2Report(h.addr, g))
			continue
		}
		if len(q.sources) == 0 {
			kind := isInclude
			if f.mode == Exclude {
				kind = isExclude
			}
			reports = append(reports, v3Report(h.addr, rec(kind, g, f.sources...)))
			continue
		}
		var wanted []string
		for _, s := range sourcesOf(q) {
			if f.wants(s.String()) {
				wanted = append(wanted, s.String())
			}
		}
		if len(wanted) > 0 {
			reports = append(reports, v3Report(h.addr, rec(isInclude, g, wanted...)))
		}
	}
	return reports
}

// simNet is a table with hosts on its ports.
type simNet struct {
	*testTable
	hosts []*simHost
}

// deliver lets the hosts answer whatever was asked, until it is quiet.
func (n *simNet) deliver() {
	for {
		sent := slices.Clone(n.TakeTransmit())
		if len(sent) == 0 {
			return
		}
		for _, x := range sent {
			d, _ := parseIP(x.Frame[ethernetLen:], false)
			if d.v6 {
				continue
			}
			m, _ := parse(&d)
			for _, h := range n.hosts {
				if h.port != x.Port {
					continue
				}
				for _, r := range h.answer(m.query) {
					n.hear(h.port, r)
				}
			}
		}
	}
}

// run passes time, with every query answered at once.
func (n *simNet) run(d time.Duration) {
	end := n.now + d
	for {
		n.deliver()
		at, ok := n.Deadline()
		if !ok || at > end {
			break
		}
		n.now = max(n.now, at)
		n.Advance(n.now)
	}
	n.now = end
	n.Advance(end)
}

// check compares the forwarding of every group with what the hosts want. Too
// much may be forwarded for a while, too little never.
func (n *simNet) check(groups, sources []string, exact bool) error {
	for _, g := range groups {
		f, _ := n.Forwarding(key(g))
		for _, s := range append([]string{"192.0.2.250"}, sources...) {
			got := f.Any
			for _, x := range f.Sources {
				if x.Source.String() == s {
					got = x.Ports
				}
			}
			want := map[Port]bool{}
			for _, h := range n.hosts {
				if f, ok := h.filters[g]; ok && f.wants(s) {
					want[h.port] = true
				}
			}
			for p := range want {
				if !slices.Contains(got, p) {
					return fmt.Errorf("(%s, %s) is not forwarded to port %d", s, g, p)
				}
			}
			if exact && len(got) != len(want) {
				return fmt.Errorf("(%s, %s) goes to %v, wanted by %v", s, g, got, want)
			}
		}
	}
	return nil
}

// TestModel drives random hosts against the union rule: a port gets (S,G) if
// some host on it wants that.
func TestModel(t *testing.T) {
	groups := []string{"233.252.0.1", "233.252.0.2", "239.1.1.1"}
	sources := letters("abcd")
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		mixed := seed%3 == 0 // with hosts of version 2: exact only after their time
		n := &simNet{testTable: newTable(t, func(c *Config) { c.FastLeave = seed%2 == 0 }, 1, 2, 3)}
		for i := range 7 {
			h := &simHost{addr: fmt.Sprintf("192.0.2.%d", i+1), port: Port(i%3 + 1), version: 3, filters: map[string]simFilter{}}
			if mixed && i%2 == 0 {
				h.version = 2
			}
			n.hosts = append(n.hosts, h)
		}
		for step := range 300 {
			h := n.hosts[rng.IntN(len(n.hosts))]
			g := groups[rng.IntN(len(groups))]
			to := simFilter{mode: FilterMode(rng.IntN(2))}
			if h.version == 3 {
				for _, s := range sources {
					if rng.IntN(2) == 0 {
						to.sources = append(to.sources, s)
					}
				}
			}
			for _, r := range h.set(g, to) {
				n.hear(h.port, r)
			}
			err := n.check(groups, sources, false)
			if err == nil {
				n.run(time.Duration(rng.IntN(3000)) * time.Millisecond)
				err = n.check(groups, sources, false)
			}
			if err == nil && step%10 == 9 {
				// What an exclude report lists anew has the full time to run
				// before it counts as excluded, whoever reported it.
				settle := gmi + 5*time.Second
				if mixed {
					settle = 3 * gmi
				}
				n.run(settle)
				err = n.check(groups, sources, true)
			}
			if err != nil {
				t.Fatalf("seed %d, step %d, host %s (port %d) set %s to %+v: %v", seed, step, h.addr, h.port, g, to, err)
			}
			checkTable(t, n.Table)
			checkDirty(t, n, groups)
		}
		for _, h := range n.hosts { // everybody falls silent
			clear(h.filters)
		}
		n.run(3 * gmi)
		if s := n.Stats(); s.Members+s.Sources+s.Hosts+s.Groups != 0 {
			t.Fatalf("seed %d: left over: %+v", seed, s)
		}
	}
}

// checkDirty keeps a copy of the forwarding by the table's own announcements,
// and fails if it is not the same as the table's.
func checkDirty(t *testing.T, n *simNet, groups []string) {
	t.Helper()
	if n.copies == nil {
		n.copies = map[netip.Addr]string{}
	}
	for _, k := range slices.Clone(n.TakeDirty()) {
		f, _ := n.Forwarding(k)
		n.copies[k.Group] = fmt.Sprint(f)
	}
	for _, g := range groups {
		f, known := n.Forwarding(key(g))
		if got, seen := n.copies[addr(g)]; seen && got != fmt.Sprint(f) || known && !seen {
			t.Fatalf("%s changed to %v without notice, was %s", g, f, got)
		}
	}
}
