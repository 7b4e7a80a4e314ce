package redact_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
)

func newMetrics(t testing.TB, cfg redact.MetricsConfig) *redact.Metrics {
	t.Helper()
	m, err := redacttest.Policy(t, redact.DefaultProfile).NewMetrics(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// samples returns the page's series of a family.
func samples(t testing.TB, m *redact.Metrics, f redact.Family) map[string]float64 {
	t.Helper()
	name := f.Info().Name
	got := map[string]float64{}
	for line := range strings.Lines(string(m.AppendPage(nil))) {
		series, value, ok := cutLast(strings.TrimSuffix(line, "\n"))
		if !ok || series != name && !strings.HasPrefix(series, name+"{") {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := got[series]; ok {
			t.Fatalf("series is there twice: %s", series)
		}
		got[strings.TrimPrefix(series, name)] = v
	}
	return got
}

func cutLast(line string) (series, value string, ok bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 || line[0] == '#' {
		return "", "", false
	}
	return line[:i], line[i+1:], true
}

func port(m *redact.Metrics, domain string, n int) *redact.Series {
	return m.Series(redact.PortCopies, redact.Name(domain), redact.VLAN(0), redact.Addr(netip.MustParseAddr("233.252.0.1")),
		redact.Name(fmt.Sprintf("p%d", n)))
}

func portLabels(domain, group, name string) string {
	return fmt.Sprintf("{domain=%q,group=%q,interface=%q}", domain, group, name)
}

func TestSeriesBudget(t *testing.T) {
	m := newMetrics(t, redact.MetricsConfig{Budget: 50, Budgets: map[string]int{"fanlight_port_copies_total": 2}})
	other := portLabels("lab", "other", "other")
	line := func(n int) string { return portLabels("lab", "233.252.0.1", fmt.Sprintf("p%d", n)) }
	check := func(want map[string]float64, overflow float64) {
		t.Helper()
		if d := cmp.Diff(want, samples(t, m, redact.PortCopies)); d != "" {
			t.Errorf("series (-want +got):\n%s", d)
		}
		if got := samples(t, m, redact.SeriesOverflow)[`{metric="fanlight_port_copies_total"}`]; got != overflow {
			t.Errorf("overflow: want %v, got %v", overflow, got)
		}
	}
	var s []*redact.Series
	for n := range 4 {
		s = append(s, port(m, "lab", n))
		s[n].Set(uint64(100 + n))
	}
	check(map[string]float64{line(0): 100, line(1): 101, other: 102 + 103}, 2)

	s[3].Set(1003)
	s[2].Add(8)
	check(map[string]float64{line(0): 100, line(1): 101, other: 110 + 1003}, 2)

	s[3].Remove() // a folded counter never goes back
	s[3].Remove()
	s[3].Set(5000)
	s[3].Add(5000)
	check(map[string]float64{line(0): 100, line(1): 101, other: 110 + 1003}, 2)

	s[0].Remove() // frees a place in the budget
	port(m, "lab", 4).Set(7)
	check(map[string]float64{line(1): 101, line(4): 7, other: 1113}, 2)

	s[2].Remove() // the last of the folded ones
	check(map[string]float64{line(1): 101, line(4): 7, other: 1113}, 2)

	port(m, "studio", 1).Set(9) // domains don't mix
	check(map[string]float64{line(1): 101, line(4): 7, other: 1113, portLabels("studio", "other", "other"): 9}, 3)
}

func TestGaugeInOther(t *testing.T) {
	m := newMetrics(t, redact.MetricsConfig{Budget: 1})
	members := func(group string) *redact.Series {
		return m.Series(redact.GroupMembers, redact.Name("lab"), redact.VLAN(0), redact.Addr(netip.MustParseAddr(group)))
	}
	members("233.252.0.1").Set(1)
	a, b := members("233.252.0.2"), members("233.252.0.3")
	a.Set(10)
	b.Set(5)
	a.Set(7)
	other := `{domain="lab",group="other"}`
	if got := samples(t, m, redact.GroupMembers)[other]; got != 12 {
		t.Errorf("other: want 12, got %v", got)
	}
	a.Remove()
	if got := samples(t, m, redact.GroupMembers)[other]; got != 5 {
		t.Errorf("other after a removal: want 5, got %v", got)
	}
}

// An identity that is itself called other shares the line of the folded ones,
// and its end doesn't end theirs.
func TestIdentityCalledOther(t *testing.T) {
	m := newMetrics(t, redact.MetricsConfig{Budget: 1})
	errors := func(iface, reason string) *redact.Series {
		return m.Series(redact.IGMPErrors, redact.Name("lab"), redact.Name(iface), redact.Name(reason))
	}
	namesake, folded := errors("other", "other"), errors("p1", "checksum")
	namesake.Set(3)
	folded.Set(4)
	namesake.Remove()
	folded.Remove()
	errors("p2", "checksum").Set(5) // the budget is free again
	want := map[string]float64{
		`{domain="lab",interface="other",reason="other"}`: 7,
		`{domain="lab",interface="p2",reason="checksum"}`: 5,
	}
	if d := cmp.Diff(want, samples(t, m, redact.IGMPErrors)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestTimesInOther(t *testing.T) {
	m := newMetrics(t, redact.MetricsConfig{Budget: 1})
	seen := func(addr string) *redact.Series {
		return m.Series(redact.QuerierLastSeen, redact.Name("lab"), redact.VLAN(0), redact.Addr(netip.MustParseAddr(addr)))
	}
	first, a, b := seen("192.0.2.1"), seen("192.0.2.2"), seen("192.0.2.3")
	first.SetFloat(2000.5)
	first.SetFloat(1000.25) // the clock was set back
	a.SetFloat(1700.5)
	b.SetFloat(1600)
	want := map[string]float64{`{domain="lab",address="192.0.2.1"}`: 1000.25, `{domain="lab",address="other"}`: 1700.5}
	if d := cmp.Diff(want, samples(t, m, redact.QuerierLastSeen)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Two identities whose labels look alike share a line that is their sum.
func TestSharedLine(t *testing.T) {
	m := newMetrics(t, redact.MetricsConfig{})
	a, b := port(m, "lab", 1), port(m, "lab", 1)
	a.Set(10)
	b.Set(3)
	b.Set(1) // its source began again
	b.Remove()
	want := map[string]float64{portLabels("lab", "233.252.0.1", "p1"): 14}
	if d := cmp.Diff(want, samples(t, m, redact.PortCopies)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	a.Remove()
	if got := samples(t, m, redact.PortCopies); len(got) != 0 {
		t.Errorf("still there: %v", got)
	}
}

func TestLabelsFailClosed(t *testing.T) {
	group := redact.Addr(netip.MustParseAddr("233.252.0.1"))
	lab, untagged := redact.Name("lab"), redact.VLAN(0)
	tests := []struct {
		name   string
		family redact.Family
		labels []redact.Label
	}{
		{"too few", redact.GroupPackets, []redact.Label{lab, untagged}},
		{"too many", redact.GroupPackets, []redact.Label{lab, untagged, group, group}},
		{"address as a name", redact.GroupPackets, []redact.Label{lab, untagged, redact.Name("233.252.0.1")}},
		{"name where an address belongs", redact.SourcePackets, []redact.Label{lab, untagged, group, redact.Name("192.0.2.1")}},
		{"address in a reason", redact.Drops, []redact.Label{lab, untagged, group, redact.Name("192.0.2.1")}},
		{"address of a wrong order", redact.GroupPackets, []redact.Label{group, untagged, lab}},
		{"zero label", redact.GroupPackets, []redact.Label{lab, untagged, {}}},
		{"histogram", redact.JoinLatency, nil},
		{"no such family", redact.Family(250), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := redacttest.Policy(t, redact.RevealProfile)
			m, err := p.NewMetrics(redact.MetricsConfig{})
			if err != nil {
				t.Fatal(err)
			}
			before := string(m.AppendPage(nil))
			s := m.Series(tt.family, tt.labels...)
			s.Set(1)
			s.Add(1)
			s.SetFloat(1)
			s.Remove()
			if d := cmp.Diff(map[string]uint64{"bad_labels": 1}, failures(p)); d != "" {
				t.Errorf("failures (-want +got):\n%s", d)
			}
			after := strings.Replace(string(m.AppendPage(nil)), `{reason="bad_labels"} 1`, `{reason="bad_labels"} 0`, 1)
			if d := cmp.Diff(before, after); d != "" {
				t.Errorf("the page changed:\n%s", d)
			}
		})
	}
}

func TestMetricsConfigErrors(t *testing.T) {
	tests := []struct {
		cfg  redact.MetricsConfig
		want string
	}{
		{redact.MetricsConfig{Budget: -1}, "budget -1"},
		{redact.MetricsConfig{Budgets: map[string]int{"fanlight_nothing": 1}}, `no metric "fanlight_nothing"`},
		{redact.MetricsConfig{Budgets: map[string]int{"fanlight_join_latency_seconds": 1}}, `no metric "fanlight_join_latency_seconds"`},
		{redact.MetricsConfig{Budgets: map[string]int{"fanlight_drops_total": 0}}, "fanlight_drops_total: 0: want 1"},
	}
	for _, tt := range tests {
		if err := tt.cfg.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: want an error with %q, got %v", tt.cfg, tt.want, err)
		}
	}
}

// Random series come, count and go, over a budget that is much too small; the
// sum over the family is always what was counted.
func TestSumIsExactUnderChurn(t *testing.T) {
	m := newMetrics(t, redact.MetricsConfig{Budget: 10})
	random := rand.New(rand.NewPCG(1, 2))
	type counted struct {
		s *redact.Series
		n uint64
	}
	live := map[int]*counted{}
	var goneAlone float64 // lines of their own that went away with their count
	var total float64
	for range 3000 {
		id := random.IntN(40)
		c := live[id]
		switch {
		case c == nil:
			live[id] = &counted{s: port(m, "lab", id)}
		case random.IntN(10) == 0:
			before := sum(samples(t, m, redact.PortCopies))
			c.s.Remove()
			goneAlone += before - sum(samples(t, m, redact.PortCopies))
			delete(live, id)
		default:
			n := uint64(random.IntN(1000))
			c.n += n
			total += float64(n)
			c.s.Set(c.n)
		}
	}
	got := samples(t, m, redact.PortCopies)
	if sum(got)+goneAlone != total {
		t.Errorf("sum: want %v, got %v and %v with removed lines", total, sum(got), goneAlone)
	}
	if len(got) > 11 {
		t.Errorf("series: want at most 10 and other, got %d", len(got))
	}
}

func sum(values map[string]float64) (total float64) {
	for _, v := range values {
		total += v
	}
	return total
}

func TestConcurrentUse(t *testing.T) {
	m := newMetrics(t, redact.MetricsConfig{Budget: 20})
	standing := port(m, "standing", 0)
	refreshed := uint64(0)
	m.OnScrape(func() { refreshed++; standing.Set(refreshed) })
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() {
			for i := range 300 {
				s := port(m, fmt.Sprintf("d%d", w), i%15)
				s.Add(1)
				if i%2 == 0 {
					s.Remove()
				}
			}
		})
	}
	workers.Go(func() {
		var page []byte
		for range 50 {
			page = m.AppendPage(page[:0])
		}
	})
	workers.Wait()
	if got := samples(t, m, redact.PortCopies)[portLabels("standing", "233.252.0.1", "p0")]; got != 51 {
		t.Errorf("refreshes: want 51, got %v", got)
	}
}
