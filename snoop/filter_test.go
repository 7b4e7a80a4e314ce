package snoop

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The sources of the tables: a and b are in the state, b and c in the record.
// Timers tell apart what an action says: standing ones run until `standing`,
// the group's until `groupTimer`.
const (
	standing   = 50 * time.Second
	groupTimer = 70 * time.Second
	rowTime    = 20 * time.Second // when the record comes
	gmi        = 260 * time.Second
	lmqt       = 2 * time.Second
)

// world describes a member as text: mode, group timer, sources with timers.
// Timers are relative: GMI, GT (the old group timer), ST (as it was), LMQT, 0.
func world(m *member, now time.Duration) string {
	if m == nil {
		return "none"
	}
	name := func(at time.Duration) string {
		switch at {
		case 0:
			return "0"
		case standing:
			return "ST"
		case groupTimer:
			return "GT"
		case now + gmi:
			return "GMI"
		case now + lmqt:
			return "LMQT"
		}
		return at.String()
	}
	var b strings.Builder
	if m.mode == Exclude {
		fmt.Fprintf(&b, "EX(%s)", name(m.expires))
	} else {
		b.WriteString("IN")
	}
	for _, s := range m.sources {
		x := s.addr.As4()
		fmt.Fprintf(&b, " %c=%s", 'a'+rune(x[3])-1, name(s.expires))
	}
	return b.String()
}

// letters turns "ab" into the sources a and b.
func letters(s string) (list []string) {
	for _, c := range s {
		list = append(list, fmt.Sprintf("198.51.100.%d", c-'a'+1))
	}
	return list
}

// asked describes queries as text: G, or G:sources, with /S if S is set.
func asked(queries []query) (list []string) {
	for _, q := range queries {
		s := "G"
		if len(q.sources) > 0 {
			s += ":"
			for _, a := range sourcesOf(q) {
				s += string('a' + rune(a.As4()[3]) - 1)
			}
		}
		if q.suppress {
			s += "/S"
		}
		list = append(list, s)
	}
	return list
}

const rowGroup = "233.252.0.1"

// rowState puts a member in a state, with the timers above: x in the list of
// requested sources, y in that of excluded ones. Two hosts are behind the port,
// so that no leave acts at once.
func rowState(t *testing.T, mode FilterMode, x, y string) *testTable {
	tt := newTable(t, nil, 1)
	key := GroupKey{Group: addr(rowGroup)}
	tt.pass(rowTime)
	m := tt.addMember(key, tt.segments[0], tt.ports[1])
	m.mode = mode
	if mode == Exclude {
		m.expires = groupTimer
	}
	var list []source
	for _, s := range letters(x) {
		list = append(list, source{addr: addr(s), expires: standing})
	}
	for _, s := range letters(y) {
		list = append(list, source{addr: addr(s)})
	}
	for _, s := range list {
		i, _ := m.findSource(s.addr)
		m.sources = append(m.sources[:i:i], append([]source{s}, m.sources[i:]...)...)
	}
	tt.fill.sources += len(list)
	for _, h := range []string{"192.0.2.1", "192.0.2.2"} {
		tt.sawHost(m, hostID{addr: addr(h)}, tt.now)
	}
	tt.timers.schedule(&m.timer, m.deadline())
	tt.drain()
	return tt
}

// TestFilterTable holds each row of the two tables in RFC 9776 section 6.4.
// States and lists: INCLUDE(A) has A = ab; EXCLUDE(X,Y) has X = ab, Y = cd.
func TestFilterTable(t *testing.T) {
	for _, row := range []struct {
		name    string
		mode    FilterMode
		x, y    string
		kind    recordType
		list    string
		want    string
		queries []string
	}{
		// Section 6.4.1, current-state records.
		{"IN(A) IS_IN(B)", Include, "ab", "", isInclude, "bc", "IN a=ST b=GMI c=GMI", nil},
		{"IN(A) IS_EX(B)", Include, "ab", "", isExclude, "bc", "EX(GMI) b=ST c=0", nil},
		{"EX(X,Y) IS_IN(A)", Exclude, "ab", "cd", isInclude, "bce", "EX(GT) a=ST b=GMI c=GMI d=0 e=GMI", nil},
		{"EX(X,Y) IS_EX(A)", Exclude, "ab", "cd", isExclude, "bce", "EX(GMI) b=ST c=0 e=GMI", nil},
		// Section 6.4.2, filter-mode and source-list changes.
		{"IN(A) ALLOW(B)", Include, "ab", "", allow, "bc", "IN a=ST b=GMI c=GMI", nil},
		{"IN(A) BLOCK(B)", Include, "ab", "", block, "bc", "IN a=ST b=LMQT", []string{"G:b"}},
		{"IN(A) TO_EX(B)", Include, "ab", "", toExclude, "bc", "EX(GMI) b=LMQT c=0", []string{"G:b"}},
		{"IN(A) TO_IN(B)", Include, "ab", "", toInclude, "bc", "IN a=LMQT b=GMI c=GMI", []string{"G:a"}},
		{"EX(X,Y) ALLOW(A)", Exclude, "ab", "cd", allow, "bce", "EX(GT) a=ST b=GMI c=GMI d=0 e=GMI", nil},
		{"EX(X,Y) BLOCK(A)", Exclude, "ab", "cd", block, "bce", "EX(GT) a=ST b=LMQT c=0 d=0 e=LMQT", []string{"G:be"}},
		{"EX(X,Y) TO_EX(A)", Exclude, "ab", "cd", toExclude, "bce", "EX(GMI) b=LMQT c=0 e=LMQT", []string{"G:be"}},
		{"EX(X,Y) TO_IN(A)", Exclude, "ab", "cd", toInclude, "bce", "EX(LMQT) a=LMQT b=GMI c=GMI d=0 e=GMI", []string{"G", "G:a"}},
		// Empty lists: the leave and the join of any-source hosts.
		{"IN(A) TO_IN({})", Include, "ab", "", toInclude, "", "IN a=LMQT b=LMQT", []string{"G:ab"}},
		{"IN(A) TO_EX({})", Include, "ab", "", toExclude, "", "EX(GMI)", nil},
		{"IN(A) IS_EX({})", Include, "ab", "", isExclude, "", "EX(GMI)", nil},
		{"IN(A) IS_IN({})", Include, "ab", "", isInclude, "", "IN a=ST b=ST", nil},
		{"EX(X,Y) TO_IN({})", Exclude, "ab", "cd", toInclude, "", "EX(LMQT) a=LMQT b=LMQT c=0 d=0", []string{"G", "G:ab"}},
		{"EX(X,Y) TO_EX({})", Exclude, "ab", "cd", toExclude, "", "EX(GMI)", nil},
		{"EX(X,Y) IS_EX({})", Exclude, "ab", "cd", isExclude, "", "EX(GMI)", nil},
		{"EX({},{}) TO_IN({})", Exclude, "", "", toInclude, "", "EX(LMQT)", []string{"G"}},
		{"EX({},{}) BLOCK(A)", Exclude, "", "", block, "ab", "EX(GT) a=LMQT b=LMQT", []string{"G:ab"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			tt := rowState(t, row.mode, row.x, row.y)
			tt.hear(1, v3Report("192.0.2.1", rec(row.kind, rowGroup, letters(row.list)...)))
			got := world(tt.find(GroupKey{Group: addr(rowGroup)}, 1), tt.now)
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(row.queries, asked(tt.queries())); diff != "" {
				t.Errorf("queries (-want +got):\n%s", diff)
			}
			checkTable(t, tt.Table)
		})
	}
}

// TestFilterTableNotQuerier holds the rows whose timers the queries would hide:
// nobody is asked, so new sources show the old group timer.
func TestFilterTableNotQuerier(t *testing.T) {
	for _, row := range []struct {
		kind recordType
		want string
	}{
		{toExclude, "EX(GMI) b=ST c=0 e=GT"},
		{block, "EX(GT) a=ST b=ST c=0 d=0 e=GT"},
		{toInclude, "EX(GT) a=ST b=GMI c=GMI d=0 e=GMI"},
	} {
		tt := rowState(t, Exclude, "ab", "cd")
		tt.hear(1, general(IGMPv3, "192.0.2.5"))
		tt.drain()
		tt.hear(1, v3Report("192.0.2.1", rec(row.kind, rowGroup, letters("bce")...)))
		if got := world(tt.find(GroupKey{Group: addr(rowGroup)}, 1), tt.now); got != row.want {
			t.Errorf("record %d: got %s, want %s", row.kind, got, row.want)
		}
		if q := tt.queries(); len(q) != 0 {
			t.Errorf("record %d: asked %v", row.kind, asked(q))
		}
		checkTable(t, tt.Table)
	}
}

// TestFilterFromNothing holds the rows for a group that is not there, which is
// INCLUDE({}).
func TestFilterFromNothing(t *testing.T) {
	for _, row := range []struct {
		kind recordType
		list string
		want string
	}{
		{isInclude, "ab", "IN a=GMI b=GMI"},
		{allow, "ab", "IN a=GMI b=GMI"},
		{toInclude, "ab", "IN a=GMI b=GMI"},
		{isExclude, "ab", "EX(GMI) a=0 b=0"},
		{toExclude, "ab", "EX(GMI) a=0 b=0"},
		{toExclude, "", "EX(GMI)"},
		{isExclude, "", "EX(GMI)"},
		{block, "ab", "none"},
		{toInclude, "", "none"},
		{isInclude, "", "none"},
		{allow, "", "none"},
	} {
		tt := newTable(t, nil, 1)
		tt.pass(rowTime)
		tt.drain()
		tt.hear(1, v3Report("192.0.2.1", rec(row.kind, rowGroup, letters(row.list)...)))
		if got := world(tt.find(GroupKey{Group: addr(rowGroup)}, 1), tt.now); got != row.want {
			t.Errorf("record %d {%s}: got %s, want %s", row.kind, row.list, got, row.want)
		}
		if q := tt.queries(); len(q) > 0 {
			t.Errorf("record %d {%s}: asked %v", row.kind, row.list, asked(q))
		}
		checkTable(t, tt.Table)
	}
}

// checkTable fails if the table contradicts itself or breaks a limit.
func checkTable(t testing.TB, tb *Table) {
	t.Helper()
	var members, sources, hosts int
	perPort := map[Port]int{}
	perSegment := map[VLAN]int{}
	for k, g := range tb.groups {
		if len(g.members) == 0 && !g.static || len(g.fixed) > 0 && !g.static || g.key != k || tb.segments[k.VLAN] != g.segment {
			t.Fatalf("group %v is broken", k)
		}
		perSegment[k.VLAN]++
		members += len(g.fixed)
		sources += g.fixedSources()
		if len(g.members)+len(g.fixed) > tb.cfg.Limits.PortsPerGroup {
			t.Fatalf("group %v has %d ports", k, len(g.members))
		}
		for i, m := range g.members {
			if i > 0 && g.members[i-1].port.id >= m.port.id {
				t.Fatalf("group %v is not sorted", k)
			}
			checkMember(t, tb, m)
			members++
			perPort[m.port.id]++
			sources += len(m.sources)
			hosts += len(m.hosts)
		}
	}
	if want := (fill{members, sources, hosts}); tb.fill != want {
		t.Fatalf("fill is %+v, counted %+v", tb.fill, want)
	}
	if len(tb.groups) > tb.cfg.Limits.Groups || len(tb.segments) > tb.cfg.Limits.VLANs {
		t.Fatalf("%d groups, %d vlans are over the limit", len(tb.groups), len(tb.segments))
	}
	for id, p := range tb.ports {
		listed := 0
		for m := p.members; m != nil; m = m.next {
			listed++
		}
		refs := 0
		for _, n := range p.hosts {
			refs += n
		}
		if p.groups != perPort[id] || listed != p.groups || refs != p.hostGroups {
			t.Fatalf("port %d: %d groups, %d listed, %d found; %d host entries, %d counted", id, p.groups, listed, perPort[id], p.hostGroups, refs)
		}
		if len(p.hosts) > tb.cfg.Limits.HostsPerPort || p.hostGroups > tb.cfg.Limits.HostGroupsPerPort || p.groups > tb.cfg.Limits.GroupsPerPort {
			t.Fatalf("port %d is over a limit", id)
		}
	}
	for v, s := range tb.segments {
		if s.groups != perSegment[v] {
			t.Fatalf("vlan %d counts %d groups, has %d", v, s.groups, perSegment[v])
		}
	}
	for i, tm := range tb.timers.heap {
		if tm.index != i+1 || i > 0 && tb.timers.heap[(i-1)/4].at > tm.at {
			t.Fatalf("timer %d is out of place", i)
		}
	}
}

func checkMember(t testing.TB, tb *Table, m *member) {
	t.Helper()
	if m.empty() {
		t.Fatalf("%v is empty and still there", m.key())
	}
	if len(m.sources) > tb.cfg.Limits.SourcesPerGroup {
		t.Fatalf("%v has %d sources", m.key(), len(m.sources))
	}
	if m.mode == Exclude && m.expires <= tb.now {
		t.Fatalf("%v has a group timer that ran out", m.key())
	}
	var last netip.Addr
	for _, s := range m.sources {
		if last.IsValid() && !last.Less(s.addr) {
			t.Fatalf("%v has unsorted sources", m.key())
		}
		if s.asked || m.mode == Include && s.expires <= tb.now || s.expires != 0 && s.expires <= tb.now {
			t.Fatalf("%v has a source in a bad state: %+v at %v", m.key(), s, tb.now)
		}
		last = s.addr
	}
	if m.index == 0 || m.at > m.deadline() {
		t.Fatalf("%v has no timer for its deadline %v", m.key(), m.deadline())
	}
}
