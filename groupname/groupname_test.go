package groupname

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const own = `# ours
239.1.0.0/16      Studio
239.1.1.0/24	Camera street
239.1.1.7  Camera 7
239.1.1.100-239.1.1.109	Audio
224.0.25.0-224.0.28.255 Exchange of ours
224.0.25.9 Exchange, feed B
ff15::7 Weather
ff0x::4:1 Anywhere
`

func load(t *testing.T, text, name string) *Table {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestNames(t *testing.T) {
	table := load(t, own, "names.tsv")
	for _, c := range []struct{ group, builtin, own string }{
		{"224.0.0.1", "All Systems on this Subnet", ""},
		{"224.0.1.129", "PTP-primary", ""},
		{"224.0.26.77", "CME Market Data", "Exchange of ours"},
		{"224.0.25.9", "CME Market Data", "Exchange, feed B"},
		{"224.0.29.1", "Deutsche Boerse", ""},
		{"224.0.246.3", "MEMX Memoir", ""},
		{"239.255.255.250", "SSDP and WS-Discovery", ""},
		{"233.252.0.200", "MCAST-TEST-NET", ""},
		{"239.1.1.7", "", "Camera 7"},
		{"239.1.1.8", "", "Camera street"},
		{"239.1.1.100", "", "Audio"},
		{"239.1.1.109", "", "Audio"},
		{"239.1.1.110", "", "Camera street"},
		{"239.1.9.9", "", "Studio"},
		{"239.2.1.1", "", ""}, // a block has a kind, no name
		{"233.1.1.1", "", ""}, // GLOP
		{"224.0.0.3", "", ""}, // unassigned
		{"230.1.1.1", "", ""}, // reserved
		{"192.0.2.1", "", ""}, // no group
		{"::ffff:239.1.1.7", "", "Camera 7"},
		{"ff02::1", "All nodes", ""},
		{"ff02::fb", "mDNS", ""},
		{"ff05::fb", "mDNS", ""},
		{"ff05::fb%p0", "mDNS", ""},
		{"ff02::1:ff00:1", "", ""},
		{"ff0e::101", "NTP", ""},
		{"ff1e::101", "", ""}, // not permanently assigned
		{"ff15::7", "", "Weather"},
		{"ff08::4:1", "", "Anywhere"},
		{"2001:db8::1", "", ""},
	} {
		if c.own == "" {
			c.own = c.builtin
		}
		group := netip.MustParseAddr(c.group)
		if got := Builtin().Name(group); got != c.builtin {
			t.Errorf("%s is %q, want %q", c.group, got, c.builtin)
		}
		if got := table.Name(group); got != c.own {
			t.Errorf("%s is %q with names of our own, want %q", c.group, got, c.own)
		}
	}
	if got := Builtin().Name(netip.Addr{}); got != "" {
		t.Errorf("nothing is called %q", got)
	}
}

func TestYAMLNamesTheSame(t *testing.T) {
	var b strings.Builder
	for line := range strings.Lines(own) {
		if words := strings.Fields(line); words[0] != "#" {
			fmt.Fprintf(&b, "%q: %q\n", words[0], strings.Join(words[1:], " "))
		}
	}
	lines, mapping := load(t, own, "names"), load(t, b.String(), "names.yaml")
	for _, group := range []string{"239.1.9.9", "239.1.1.105", "224.0.25.9", "224.0.25.10", "ff15::7", "ff01::4:1", "224.0.0.1"} {
		a := netip.MustParseAddr(group)
		if want, got := lines.Name(a), mapping.Name(a); got != want || got == "" {
			t.Errorf("%s: %q, want %q", group, got, want)
		}
	}
}

func TestLookupTellsTheKind(t *testing.T) {
	for group, want := range map[string]Status{
		"239.1.1.1": Block, "224.5.1.1": Reserved, "224.0.0.200": Unassigned, "224.0.0.5": Assigned, "ff02::1:ff00:9": Block,
	} {
		if e, ok := Builtin().Lookup(netip.MustParseAddr(group)); !ok || e.Status != want {
			t.Errorf("%s: %v (%t), want %v", group, e, ok, want)
		}
	}
	if e, ok := Builtin().Lookup(netip.MustParseAddr("ff15::1")); ok {
		t.Errorf("ff15::1 is in %v", e)
	}
}

// TestAddresses: only a name of one group for itself can stand for it.
func TestAddresses(t *testing.T) {
	table := load(t, "239.1.1.1 Feed\n239.1.1.2 feed\n239.3.0.0/16 Range\nff15::7 Weather\n", "names")
	for name, want := range map[string]string{
		"weather": "[ff15::7]", "FEED": "[239.1.1.1 239.1.1.2]", "Range": "[]", "nobody": "[]", "VRRP": "[224.0.0.18 ff02::12]",
	} {
		if got := fmt.Sprint(table.Addresses(name)); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ text, ext, want string }{
		{"239.1.1.1\n", "", "line 1: want a group or a range, a tab and a name"},
		{"\n# x\n10.0.0.1 host\n", "", `line 3: "10.0.0.1" is no group`},
		{"239.1.1.1-ff15::1 x\n", "", "is no group"},
		{"239.0.0.0/40 x\n", "", "is no group"},
		{"239.1.1.9-239.1.1.1 x\n", "", "ends before it begins"},
		{"239.1.1.1 x\n239.1.1.1/32 y\n", "", "line 2: 239.1.1.1/32 has a name already, in line 1"},
		{"239.1.1.1 a\x1b[2J\n", "", "can't be shown"},
		{"239.1.1.1 " + strings.Repeat("x", 129), "", "128 are the most"},
		{"239.1.1.1 x\tgone\n", "", "none of unassigned, reserved, block"},
		{"- 239.1.1.1\n", ".yaml", "line 1: want a mapping"},
		{"239.1.1.1: [a]\n", ".yml", "line 1: want a name"},
		{"239.1.1.1: ''\n", ".yml", "line 1: the name is missing"},
		{"a: [\n", ".yaml", "yaml"},
	} {
		if _, err := Parse([]byte(c.text), c.ext); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
	if _, err := Load("/nowhere/names.tsv"); err == nil || !strings.Contains(err.Error(), "/nowhere/names.tsv") {
		t.Errorf("%v", err)
	}
}

// TestNarrowestWins compares the table with the plain rule, at and around the
// ends of every range.
func TestNarrowestWins(t *testing.T) {
	table := load(t, own, "names")
	entries, err := parseLines([]byte(own))
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		entries[i].rank = 1
	}
	all := append(entries, builtin...)
	if len(builtin) < 580 {
		t.Fatalf("only %d entries come with the program", len(builtin))
	}
	checked := 0
	for _, e := range all {
		for _, a := range []netip.Addr{e.First, e.Last, e.First.Prev(), e.Last.Next()} {
			if e.AnyScope || !a.IsValid() || !a.IsMulticast() {
				continue
			}
			var best *Entry
			for i := range all {
				x := &all[i]
				if !x.AnyScope && x.First.Is4() == a.Is4() && x.First.Compare(a) <= 0 && a.Compare(x.Last) <= 0 && (best == nil || beats(x, best)) {
					best = x
				}
			}
			got, ok := table.Lookup(a)
			if best != nil && (!ok || got != *best) || best == nil && ok && !got.AnyScope {
				t.Errorf("%s: %v, want %v", a, got, best)
			}
			checked++
		}
	}
	if checked < 2000 {
		t.Errorf("only %d addresses checked", checked)
	}
}

func TestNameAllocatesNothing(t *testing.T) {
	v4, v6 := netip.MustParseAddr("224.0.26.77"), netip.MustParseAddr("ff05::fb")
	if n := testing.AllocsPerRun(100, func() { Builtin().Name(v4); Builtin().Name(v6) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkName(b *testing.B) {
	for _, group := range []string{"224.0.26.77", "239.1.1.1", "ff15::1234"} {
		b.Run(group, func(b *testing.B) {
			a := netip.MustParseAddr(group)
			for b.Loop() {
				Builtin().Name(a)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(own), false)
	f.Add([]byte("239.1.1.1: a\nff0x::1/120: b\n"), true)
	f.Add([]byte("224.0.0.0-239.255.255.255 all\nff00::/8 all of 6\n"), false)
	f.Fuzz(func(t *testing.T, raw []byte, isYAML bool) {
		ext := ""
		if isYAML {
			ext = ".yaml"
		}
		table, err := Parse(raw, ext)
		if err != nil {
			return
		}
		for _, list := range [][]segment{table.v4, table.v6, table.anyScope} {
			for i, s := range list {
				if s.last.Less(s.first) || i > 0 && !list[i-1].last.Less(s.first) {
					t.Fatalf("segment %d overlaps or is empty: %v to %v", i, s.first, s.last)
				}
			}
		}
	})
}
