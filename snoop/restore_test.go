package snoop

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSnapshotRestore(t *testing.T) {
	s := letters("abc")
	old := newTable(t, nil, 1, 2)
	old.hear(1, v3Report(h1, rec(toExclude, g1, s[:2]...)))
	old.hear(1, v3Report(h2, rec(allow, g1, s[2])))
	old.hear(2, v3Report(h2, rec(allow, g1, s[0])))
	old.hear(2, v2Report(h2, "239.1.1.1"))
	changed := old.TakeChangedMembers()
	if len(changed) != 3 {
		t.Fatalf("changed members %v, want 3", changed)
	}
	want, _ := old.Forwarding(key(g1))

	for name, downtime := range map[string]time.Duration{"short": time.Second, "past every timer": time.Hour} {
		t.Run(name, func(t *testing.T) {
			tt := newTable(t, nil)
			tt.now = downtime
			tt.AddPort(1, portInfo(1), tt.now)
			tt.AddPort(2, portInfo(2), tt.now)
			tt.drain()
			for _, k := range changed {
				state, ok := old.Snapshot(k.GroupKey, k.Port)
				if !ok {
					t.Fatalf("no snapshot of %v", k)
				}
				if err := tt.Restore(k.GroupKey, k.Port, state, tt.now); err != nil {
					t.Fatal(err)
				}
			}
			checkTable(t, tt.Table)
			if got := tt.TakeDirty(); len(got) != 2 {
				t.Errorf("dirty %v", got)
			}
			got, _ := tt.Forwarding(key(g1))
			if diff := cmp.Diff(want, got, cmp.Comparer(sameAddr)); diff != "" {
				t.Errorf("forwarding (-want +got):\n%s", diff)
			}
			if m := tt.find(key("239.1.1.1"), 2); downtime == time.Second && m.compat(tt.now) != IGMPv2 {
				t.Errorf("version %v", m.compat(tt.now))
			}
			tt.pass(15 * time.Second) // the port was asked, but not when the member joined
			tt.hear(1, v3Report(h1, rec(isExclude, g1, s[:2]...)))
			tt.hear(1, v3Report(h1, rec(toInclude, g1)))
			if !slices.Contains(tt.anyPorts(g1), 1) {
				t.Error("a leave acted at once though the hosts are not known")
			}
			tt.hear(1, v3Report(h1, rec(isExclude, g1, s[:2]...))) // both answer
			tt.hear(1, v3Report(h2, rec(isInclude, g1, s[2])))
			tt.pass(57 * time.Second) // two startup intervals and a response
			got, _ = tt.Forwarding(key(g1))
			if diff := cmp.Diff(want, got, cmp.Comparer(sameAddr)); diff != "" || len(tt.groups) != 2 {
				t.Errorf("before the startup queries were answered: %d groups (-want +got):\n%s", len(tt.groups), diff)
			}
			tt.pass(gmi)
			if len(tt.groups) != 0 {
				t.Error("restored members don't age")
			}
		})
	}
}

func TestRestoreRefusesNonsense(t *testing.T) {
	future := 1000 * time.Hour
	for _, row := range []struct {
		name  string
		group string
		port  Port
		state MemberState
	}{
		{"no port", g1, 9, MemberState{Mode: Exclude}},
		{"unicast group", "10.0.0.1", 1, MemberState{Mode: Exclude}},
		{"empty", g1, 1, MemberState{}},
		{"bad mode", g1, 1, MemberState{Mode: 7}},
		{"foreign source", g1, 1, MemberState{Mode: Exclude, Sources: []SourceState{{addr("ff15::1"), 1}}}},
		{"source without timer", g1, 1, MemberState{Sources: []SourceState{{addr("192.0.2.1"), 0}}}},
		{"exclude in the SSM range", "232.1.1.1", 1, MemberState{Mode: Exclude}},
		{"too many sources", g1, 1, MemberState{Mode: Exclude, Sources: make([]SourceState, 65)}},
	} {
		tt := newTable(t, nil, 1)
		if err := tt.Restore(key(row.group), row.port, row.state, tt.now); err == nil {
			t.Errorf("%s: no error", row.name)
		}
		if len(tt.groups) != 0 {
			t.Errorf("%s: it was taken", row.name)
		}
	}
	tt := newTable(t, nil, 1)
	if err := tt.Restore(key(g1), 1, MemberState{Mode: Exclude, Expires: future, Joined: future}, tt.now); err != nil {
		t.Fatal(err)
	}
	tt.pass(gmi)
	if len(tt.groups) != 0 {
		t.Error("a time in the far future was believed")
	}
}
