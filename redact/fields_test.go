package redact

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
)

var testOrigin = Origin{Node: "node-1", BootID: "boot-1"}

func newPolicy(t testing.TB, cfg Config) *Policy {
	t.Helper()
	p, err := NewPolicy(cfg, testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A field of bpf.Event without a class fails here, and at start.
func TestEveryEventFieldHasAClass(t *testing.T) {
	if err := checkTable(reflect.TypeFor[bpf.Event]()); err != nil {
		t.Error(err)
	}
	type future struct {
		Kind  bpf.Kind
		Owner string
	}
	err := checkTable(reflect.TypeFor[future]())
	if err == nil || !strings.Contains(err.Error(), "Owner has no class") {
		t.Errorf("a new field passes unclassified: %v", err)
	}
}

func TestTableIsComplete(t *testing.T) {
	event := reflect.TypeFor[bpf.Event]()
	names := map[string]bool{}
	for _, f := range fields {
		if f.Name == "" || f.Class == Secret || f.Type == 0 || f.Help == "" {
			t.Errorf("row is incomplete: %+v", f)
		}
		if names[f.Name] {
			t.Errorf("name is there twice: %s", f.Name)
		}
		names[f.Name] = true
		if _, ok := event.FieldByName(f.Event); f.Event != "" && !ok {
			t.Errorf("%s comes from bpf.Event.%s, which is not there", f.Name, f.Event)
		}
	}
	for class := Secret + 1; class < numClasses; class++ {
		if class.String() == "" || profiles[RevealProfile][class] != keep || profiles[DefaultProfile][class] == drop || len(actionsFor[class]) == 0 {
			t.Errorf("class %d lacks a name or an action", class)
		}
		for _, p := range Profiles() {
			if do := profiles[p][class]; !slices.Contains(actionsFor[class], do) {
				t.Errorf("profile %s: class %s can't have action %s", p, class, do)
			}
		}
	}
	if profiles[RevealProfile][Secret] != drop || Class(200).String() != "secret" {
		t.Error("secret leaves")
	}
}

// fullEvent has a value in each field, so that a row that Apply forgets shows.
func fullEvent(t *testing.T, kind bpf.Kind) bpf.Event {
	t.Helper()
	var e bpf.Event
	v := reflect.ValueOf(&e).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Interface().(type) {
		case time.Time:
			f.Set(reflect.ValueOf(time.Unix(1, 0)))
		case netip.Addr:
			f.Set(reflect.ValueOf(netip.MustParseAddr("192.0.2.1")))
		case []netip.Addr:
			f.Set(reflect.ValueOf([]netip.Addr{netip.MustParseAddr("192.0.2.1")}))
		case bpf.MAC:
			f.Set(reflect.ValueOf(bpf.MAC{1}))
		default:
			switch {
			case f.CanUint():
				f.SetUint(0x10001)
			case f.Kind() == reflect.String:
				f.SetString("x")
			default:
				t.Fatalf("field %s has a type that this test does not know", v.Type().Field(i).Name)
			}
		}
	}
	e.Kind, e.Action, e.Group = kind, actionsOf[kind][0], netip.MustParseAddr("233.252.0.1")
	e.Protocol, e.FilterMode, e.Direction = protocols[0], filterModes[0], directions[0]
	return e
}

func TestApplyFillsEveryField(t *testing.T) {
	p := newPolicy(t, Config{})
	for _, kind := range bpf.Kinds() {
		records := p.Apply(nil, []bpf.Event{fullEvent(t, kind)})
		if len(records) != 1 {
			t.Fatalf("%s: no record", kind)
		}
		got := map[string]bool{}
		for f := range records[0].Fields() {
			got[f.Name] = true
		}
		for _, f := range fields {
			if got[f.Name] != f.of(kind) {
				t.Errorf("%s: field %s: want %t, got %t", kind, f.Name, f.of(kind), got[f.Name])
			}
		}
	}
}

// Whatever class is dropped, its fields stay inside.
func TestAClassThatIsDroppedStaysInside(t *testing.T) {
	for class := range numClasses {
		p := newPolicy(t, Config{Profile: RevealProfile})
		for f := range numFields {
			if fields[f].Class == class {
				p.engine.base[f] = &treatment{action: drop}
			}
		}
		var err error
		if p.engine.origin, err = newOrigin(testOrigin, p.engine); err != nil {
			t.Fatal(err)
		}
		for _, kind := range bpf.Kinds() {
			records := p.Apply(nil, []bpf.Event{fullEvent(t, kind)})
			for f := range records[0].Fields() {
				if f.Class == class && f.Name != "schema_version" {
					t.Errorf("%s: %s has the dropped class %s", kind, f.Name, class)
				}
			}
		}
	}
}

func TestPanicInARuleDropsTheRecord(t *testing.T) {
	p := newPolicy(t, Config{})
	p.engine.base[fieldSource].addresses.render = func(a netip.Addr) string { panic(a) }
	full := fullEvent(t, bpf.KindDrop)
	plain := full
	plain.Source, plain.Sources = netip.Addr{}, nil
	got := p.Apply(nil, []bpf.Event{plain, full, plain})
	if len(got) != 2 || p.failures[rulePanic].Load() != 1 {
		t.Errorf("records: want 2, got %d; panics: want 1, got %d", len(got), p.failures[rulePanic].Load())
	}
	if got := p.Apply(nil, []bpf.Event{plain}); len(got) != 1 {
		t.Error("the policy does not work after a panic")
	}
}

// A key that can't be used stops everything; it does not go on with the old one.
func TestMissingKeyDropsTheRecord(t *testing.T) {
	p := newPolicy(t, Config{})
	m, err := p.NewMetrics(MetricsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := newKeyring(randomKey())
	if err != nil {
		t.Fatal(err)
	}
	p.keys.ring.Store(ring)
	p.cfg.Rules = []Rule{{Classes: []string{"host"}, Action: "none"}} // so that no engine can be made
	if got := p.Apply(nil, []bpf.Event{fullEvent(t, bpf.KindDrop)}); len(got) != 0 {
		t.Error("a record without a key")
	}
	m.Series(SourcePackets, Name("lab"), VLAN(0), Addr(netip.MustParseAddr("233.252.0.1")), Addr(netip.MustParseAddr("192.0.2.1"))).Set(1)
	if n := p.failures[missingKey].Load(); n != 2 {
		t.Errorf("missing keys: want 2, got %d", n)
	}
	p.cfg.Rules = nil
	if got := p.Apply(nil, []bpf.Event{fullEvent(t, bpf.KindDrop)}); len(got) != 1 {
		t.Error("the policy does not recover")
	}
}

// Whatever rules match, the combinations that are remembered are bounded.
func TestDecisionsAreBounded(t *testing.T) {
	var rules []Rule
	for n := range 10 {
		rules = append(rules, Rule{Classes: []string{"host"}, Interfaces: []string{fmt.Sprintf("*%c*", 'a'+n)}, Action: "drop"})
	}
	p := newPolicy(t, Config{Profile: RevealProfile, Rules: rules})
	e := fullEvent(t, bpf.KindDrop)
	for n := range 1 << 10 {
		e.Interface = "x"
		for i := range 10 {
			if n>>i&1 != 0 {
				e.Interface += string(rune('a' + i))
			}
		}
		r := p.Apply(nil, []bpf.Event{e})[0]
		if kept := r.text(fieldHost) != ""; kept != (n == 0) {
			t.Fatalf("interface %s: host kept: %t", e.Interface, kept)
		}
		known := 0
		for d := p.engine.decided[bpf.KindDrop]; d != nil; d = d.next {
			known++
		}
		if known > maxDecisions {
			t.Fatalf("%d combinations are remembered", known)
		}
	}
}

func TestApplyAllocatesNothing(t *testing.T) {
	ruled := Config{Profile: SIEMProfile, Rules: []Rule{
		{Classes: []string{"host"}, Groups: []netip.Prefix{netip.MustParsePrefix("239.0.0.0/8")}, Action: "drop"},
		{Classes: []string{"interface"}, Interfaces: []string{"x*"}, Action: "pseudonym"},
	}}
	for _, cfg := range []Config{{}, {Profile: StrictProfile}, ruled} {
		p := newPolicy(t, cfg)
		batch := []bpf.Event{fullEvent(t, bpf.KindMembership), fullEvent(t, bpf.KindDrop)}
		records := p.Apply(nil, batch)
		line := records[0].AppendJSON(nil)
		allocs := testing.AllocsPerRun(100, func() {
			records = p.Apply(records[:0], batch)
			line = records[0].AppendJSON(line[:0])
		})
		if allocs != 0 {
			t.Errorf("profile %s: allocations: want 0, got %v", cfg.profile(), allocs)
		}
	}
}

// A slot that held another record shows nothing of it.
func TestApplyReusesSlots(t *testing.T) {
	p := newPolicy(t, Config{})
	full, bare := fullEvent(t, bpf.KindMembership), bpf.Event{Kind: bpf.KindLoss, Action: "ring", Time: time.Unix(1, 0)}
	one := bare
	one.Sources = []netip.Addr{netip.MustParseAddr("192.0.2.9")}
	slots := p.Apply(nil, []bpf.Event{full, full, full})
	for _, e := range []bpf.Event{bare, one, full, one, bare} {
		fresh := p.Apply(nil, []bpf.Event{e})
		slots = p.Apply(slots[:0], []bpf.Event{e, e, e})
		for i := range slots {
			if want, got := string(fresh[0].AppendJSON(nil)), string(slots[i].AppendJSON(nil)); want != got {
				t.Errorf("slot %d:\nwant %s\ngot  %s", i, want, got)
			}
		}
	}
}

func TestRevealShowsNoZone(t *testing.T) {
	p := newPolicy(t, Config{Profile: RevealProfile})
	e := fullEvent(t, bpf.KindMembership)
	e.Host, e.Source = netip.MustParseAddr("fe80::1%p0"), netip.MustParseAddr("::ffff:192.0.2.1")
	r := p.Apply(nil, []bpf.Event{e})[0]
	if host, source := r.text(fieldHost), r.text(fieldSource); host != "fe80::1" || source != "192.0.2.1" {
		t.Errorf("host %q, source %q", host, source)
	}
}

func TestMemoIsBounded(t *testing.T) {
	made := 0
	m := newMemo(100, func(n int) string { made++; return string(rune(n)) })
	for round := range 3 {
		for n := range 1000 {
			if got := m.get(n); got != string(rune(n)) {
				t.Fatalf("text of %d: got %q", n, got)
			}
			m.get(7) // in use all the time
		}
		if len(m.entries) != 100 || len(m.index) != 100 {
			t.Fatalf("round %d: want 100 entries, got %d and %d", round, len(m.entries), len(m.index))
		}
	}
	if made > 3010 {
		t.Errorf("made %d texts: the one in use was pushed out again and again", made)
	}
}
