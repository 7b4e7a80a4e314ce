package redact_test

import (
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func netipMust(s string) netip.Addr { return netip.MustParseAddr(s) }

// fieldsOf returns what a policy shows of an event, as text.
func fieldsOf(p *redact.Policy, e bpf.Event) map[string]string {
	got := map[string]string{}
	for _, r := range p.Apply(nil, []bpf.Event{e}) {
		for f, v := range r.Fields() {
			switch f.Type {
			case redact.TypeNumber:
				got[f.Name] = strconv.FormatUint(v.Number(), 10)
			case redact.TypeTime:
				got[f.Name] = v.Time().Format("15:04:05.999999999")
			case redact.TypeList:
				got[f.Name] = strings.Join(slices.Collect(v.List()), " ")
			default:
				got[f.Name] = v.Text()
			}
		}
	}
	return got
}

func configOf(t testing.TB, text string) redact.Config {
	t.Helper()
	cfg := redact.Config{KeyFile: redacttest.KeyFile(t)}
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&cfg); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return cfg
}

func policyOf(t testing.TB, text string) *redact.Policy {
	t.Helper()
	p, err := redact.NewPolicy(configOf(t, text), redacttest.Origin)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return p
}

func TestRules(t *testing.T) {
	membership := redacttest.Events()[6] // group 233.252.0.7, host 198.51.100.23, interface p1
	membership.Packets = 1234
	tests := []struct {
		name, policy string
		want         map[string]string // "" stands for a field that is left out
	}{
		{"mask", `
profile: reveal
rules: [{classes: [host, source, mac], action: mask}]`,
			map[string]string{"host": "198.51.100.0", "host_mac": "02:00:5e:00:00:00", "sources": "192.0.2.0 198.51.100.0", "group": "233.252.0.7"}},
		{"mask of odd bits", `
profile: reveal
rules: [{classes: [host, mac], action: mask, mask: {v4: 9, mac: 0}}]`,
			map[string]string{"host": "198.0.0.0", "host_mac": "00:00:00:00:00:00"}},
		{"mask of a group stays in its block", `
profile: reveal
rules: [{classes: [group], action: mask, mask: {v4: 0}}]`,
			map[string]string{"group": "233.252.0.0", "group_scope": "global"}},
		{"drop", `
profile: reveal
rules: [{fields: [host, group_class, packets, vlan], action: drop}]`,
			map[string]string{"host": "", "group_class": "", "packets": "", "group_scope": "global", "host_mac": "02:00:5e:10:20:30"}},
		{"first match wins", `
profile: reveal
rules:
- {fields: [host], action: keep}
- {classes: [host, mac], action: drop}`,
			map[string]string{"host": "198.51.100.23", "host_mac": ""}},
		{"keep overrides the profile", `
profile: strict
rules: [{classes: [group, domain], action: keep}]`,
			map[string]string{"group": "233.252.0.7", "domain": "lab"}},
		{"group prefix fits", `
profile: reveal
rules: [{classes: [host], groups: [239.0.0.0/8, 233.252.0.0/24], action: drop}]`,
			map[string]string{"host": ""}},
		{"group prefix does not fit", `
profile: reveal
rules: [{classes: [host], groups: [239.0.0.0/8, 233.252.1.0/24], action: drop}]`,
			map[string]string{"host": "198.51.100.23"}},
		{"many prefixes", `
profile: reveal
rules: [{classes: [host], groups: [239.0.0.0/8, 239.1.0.0/16, 239.2.0.0/16, 239.3.0.0/16, ff00::/8, 233.0.0.0/8], action: drop}]`,
			map[string]string{"host": ""}},
		{"kind fits", `
profile: reveal
rules: [{classes: [host], kinds: [drop, membership], action: drop}]`,
			map[string]string{"host": ""}},
		{"kind does not fit", `
profile: reveal
rules: [{classes: [host], kinds: [drop], action: drop}]`,
			map[string]string{"host": "198.51.100.23"}},
		{"interface fits", `
profile: reveal
rules: [{classes: [host], interfaces: [eth*, "p?"], action: drop}]`,
			map[string]string{"host": ""}},
		{"interface does not fit", `
profile: reveal
rules: [{classes: [host], interfaces: [eth*], action: drop}]`,
			map[string]string{"host": "198.51.100.23"}},
		{"all conditions must hold", `
profile: reveal
rules: [{classes: [host], interfaces: [p1], groups: [239.0.0.0/8], kinds: [membership], action: drop}]`,
			map[string]string{"host": "198.51.100.23"}},
		{"bucket", `
profile: reveal
rules:
- {classes: [counter], action: bucket, bucket: {count: 1000}}
- {fields: [time], action: bucket, bucket: {time: 1m}}`,
			map[string]string{"packets": "1000", "time": "21:34:00"}},
		{"replace", `
profile: reveal
rules:
- {fields: [host], action: replace, with: somebody}
- {classes: [source], action: replace, with: 192.0.2.255}
- {classes: [domain, node], action: replace, with: "a \"place\""}
- {fields: [packets], action: replace, with: "7"}`,
			map[string]string{"host": "somebody", "sources": "192.0.2.255 192.0.2.255", "domain": `a "place"`, "node": `a "place"`, "packets": "7"}},
		{"pseudonym of names", `
profile: reveal
rules: [{classes: [domain], action: pseudonym}]`,
			map[string]string{"domain": "domain_cd27abf0_11c84317e94cae77874ee968", "interface": "p1"}},
		{"words can be dropped, but not those that records need", `
profile: reveal
rules: [{classes: [public], action: drop}]`,
			map[string]string{"protocol": "", "group_scope": "", "kind": "membership", "action": "joined", "schema_version": "1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := fieldsOf(policyOf(t, tt.policy), membership)
			got := map[string]string{}
			for name := range tt.want {
				got[name] = all[name]
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("fields (-want +got):\n%s", d)
			}
		})
	}
}

func TestRulesHoldForLabels(t *testing.T) {
	p := policyOf(t, `
profile: reveal
rules:
- {classes: [source], kinds: [drop], action: drop}
- {classes: [source, segment], groups: [239.0.0.0/8], action: drop}
- {fields: [group], interfaces: [secret*], action: replace, with: hidden}
- {classes: [domain], action: pseudonym}`)
	m, err := p.NewMetrics(redact.MetricsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	lab, vlan, source := redact.Name("lab"), redact.VLAN(bpf.MakeVLAN(5, 0)), redact.Addr(netipMust("192.0.2.1"))
	for _, group := range []string{"239.1.1.1", "233.252.0.1"} {
		m.Series(redact.SourcePackets, lab, vlan, redact.Addr(netipMust(group)), source).Set(1)
	}
	for _, iface := range []string{"secret0", "p0"} {
		m.Series(redact.PortCopies, lab, vlan, redact.Addr(netipMust("233.252.0.1")), redact.Name(iface)).Set(1)
	}
	domain := `{domain="domain_cd27abf0_11c84317e94cae77874ee968"`
	want := map[string]float64{
		domain + `,group="239.1.1.1"}`:                               1,
		domain + `,vlan="5",group="233.252.0.1",source="192.0.2.1"}`: 1,
		domain + `,vlan="5",group="hidden",interface="secret0"}`:     1,
		domain + `,vlan="5",group="233.252.0.1",interface="p0"}`:     1,
	}
	got := samples(t, m, redact.SourcePackets)
	for series, v := range samples(t, m, redact.PortCopies) {
		got[series] = v
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestRuleErrors(t *testing.T) {
	tests := []struct{ policy, want string }{
		{`rules: [{classes: [host], action: sha256}]`, "rules[0]: action sha256 is refused: without a key it is undone by trying all addresses"},
		{`rules: [{classes: [host], action: HASH}]`, "use pseudonym, which has a key"},
		{`rules: [{classes: [host], action: hide}]`, `action "hide": want one of drop, keep, mask`},
		{`rules: [{classes: [host]}]`, `action "": want one of`},
		{`rules: [{action: drop}]`, "fields or classes: want some of them"},
		{`rules: [{classes: [hosts], action: drop}]`, `no class "hosts"`},
		{`rules: [{classes: [secret], action: keep}]`, `no class "secret"`},
		{`rules: [{fields: [hosts], action: drop}]`, `no field "hosts"`},
		{`rules: [{fields: [event_id], action: drop}]`, "event_id can't be redacted"},
		{`rules: [{fields: [kind], action: drop}]`, "kind can't be redacted"},
		{`rules: [{classes: [time], action: drop}]`, "time can't have action drop; want one of [keep bucket]"},
		{`rules: [{fields: [packets], action: pseudonym}]`, "packets can't have action pseudonym"},
		{`rules: [{classes: [domain], action: mask}]`, "domain can't have action mask"},
		{`rules: [{classes: [host], kinds: [drops], action: drop}]`, `no kind "drops"`},
		{`rules: [{classes: [host], groups: [192.0.2.0/24], action: drop}]`, "192.0.2.0/24 holds no group"},
		{`rules: [{classes: [host], groups: ["::ffff:239.0.0.0/104"], action: drop}]`, "want an IPv4 prefix"},
		{`rules: [{classes: [host], interfaces: ["p["], action: drop}]`, `"p[" is no name or glob`},
		{`rules: [{classes: [node], kinds: [drop], action: drop}]`, "node is the same in every record"},
		{`rules: [{classes: [host], action: drop, mask: {v4: 8}}]`, "mask, bucket and with belong to the actions"},
		{`rules: [{classes: [host], action: mask, mask: {v4: 33}}]`, "mask.v4: 33: want 0 to 32 bits"},
		{`rules: [{classes: [counter], action: bucket}]`, "bucket.count: want a number above 0"},
		{`rules: [{classes: [time], action: bucket, bucket: {count: 5}}]`, "bucket.time: want a duration above 0"},
		{`rules: [{classes: [host], action: replace, with: "a\"b"}]`, "want an address or a word"},
		{`rules: [{classes: [host], action: replace}]`, "want an address or a word"},
		{`rules: [{fields: [packets], action: replace, with: many}]`, `"many": want a number`},
		{`key_credential: ../key`, "want a credential's name, not a path"},
		{`typed: true`, "typed: profile default makes pseudonyms of class source, and a pseudonym is no address: use profile siem"},
		{`{typed: true, profile: strict}`, "typed: profile strict makes pseudonyms of class group"},
		{`{profile: siem, rules: [{classes: [host], action: pseudonym}]}`, "typed: rules[0] makes pseudonyms of class host"},
		{`{profile: siem, rules: [{fields: [host_mac], action: replace, with: gone}]}`, `typed: rules[0] writes "gone" where class mac has an address`},
		{`{profile: siem, rules: [{classes: [group], action: replace, with: 192.0.2.1}]}`, `"192.0.2.1": want an address or a word`},
	}
	for _, tt := range tests {
		cfg := configOf(t, tt.policy)
		if strings.Contains(tt.policy, "key_credential") {
			cfg.KeyFile = ""
		}
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: want an error with %q, got %v", tt.policy, tt.want, err)
		}
		if _, err := redact.NewPolicy(cfg, redacttest.Origin); err == nil {
			t.Errorf("%s: the policy starts", tt.policy)
		}
	}
	if err := (redact.Config{Rules: make([]redact.Rule, 100)}).Validate(); err == nil || !strings.Contains(err.Error(), "100 are more than 48") {
		t.Errorf("100 rules: %v", err)
	}
}

// A typed policy puts addresses where addresses belong, whatever comes.
func TestTypedPoliciesKeepTypes(t *testing.T) {
	for _, policy := range []string{
		`profile: siem`,
		`{profile: siem, rules: [{classes: [host, group, mac], action: mask, mask: {v4: 1, v6: 1, mac: 1}}]}`,
		`{typed: true, rules: [{classes: [source, host, mac, queriermac], action: prefix_preserving}]}`,
		`{profile: siem, rules: [{classes: [host], action: replace, with: 192.0.2.0}, {classes: [group], action: replace, with: 239.0.0.1}]}`,
	} {
		p := policyOf(t, policy)
		for _, e := range redacttest.StrictCanaryEvents() {
			for f, v := range p.Apply(nil, []bpf.Event{e})[0].Fields() {
				for _, s := range slices.AppendSeq([]string{v.Text()}, v.List()) {
					checkType(t, policy, f, s)
				}
			}
		}
	}
}

func checkType(t *testing.T, policy string, f *redact.Field, s string) {
	t.Helper()
	switch {
	case s == "":
	case f.Type == redact.TypeAddress || f.Type == redact.TypeList:
		a, err := netip.ParseAddr(s)
		if err != nil || a.IsMulticast() != (f.Class == redact.Group) {
			t.Errorf("%s: %s is %q", policy, f.Name, s)
		}
	case f.Type == redact.TypeMAC && len(s) != 17:
		t.Errorf("%s: %s is %q", policy, f.Name, s)
	}
}

func TestOneKeySeveralPolicies(t *testing.T) {
	base := policyOf(t, `
profile: reveal
rules: [{fields: [host_mac], action: drop}]`)
	rules := func(text string) (o redact.Override) {
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	e := redacttest.Events()[6]
	for _, tt := range []struct{ override, host, mac, group string }{
		{`{}`, "198.51.100.23", "", "233.252.0.7"},
		{`rules: [{fields: [host_mac], action: mask}]`, "198.51.100.23", "02:00:5e:00:00:00", "233.252.0.7"},
		{`profile: default`, "host_cd27abf0_89b6e71f05b2ccb462b43532", "mac_cd27abf0_0dbbc68adebc5b4a6ed28121", "233.252.0.7"},
		{`profile: strict`, "host_cd27abf0_89b6e71f05b2ccb462b43532", "mac_cd27abf0_0dbbc68adebc5b4a6ed28121", "group_cd27abf0_a2d410310b8a5113cbdf3b63"},
	} {
		p, err := base.For("kafka", rules(tt.override))
		if err != nil {
			t.Fatal(err)
		}
		got := fieldsOf(p, e)
		if got["host"] != tt.host || got["host_mac"] != tt.mac || got["group"] != tt.group {
			t.Errorf("%s: got host %s, MAC %s, group %s", tt.override, got["host"], got["host_mac"], got["group"])
		}
	}
	if _, err := base.For("kafka", rules(`typed: true`)); err != nil {
		t.Errorf("a typed policy that reveals: %v", err)
	}
	for _, bad := range []struct{ name, override string }{
		{"", `{}`}, {"192.0.2.1", `{}`}, {"kafka", `{profile: default, typed: true}`}, {"kafka", `profile: none`},
	} {
		if _, err := base.For(bad.name, rules(bad.override)); err == nil {
			t.Errorf("%q with %s: no error", bad.name, bad.override)
		}
	}
}

func TestRedactionsAreCounted(t *testing.T) {
	base := policyOf(t, `{profile: default, rules: [{fields: [packets], action: drop}]}`)
	siem, err := base.For("siem_1", redact.Override{Profile: redact.SIEMProfile})
	if err != nil {
		t.Fatal(err)
	}
	m, err := base.NewMetrics(redact.MetricsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	batch := redacttest.Busy(0, 10)
	base.Apply(nil, batch)
	base.Apply(nil, batch)
	siem.Apply(nil, batch)
	bad := batch[0]
	bad.Kind = 99
	siem.Apply(nil, []bpf.Event{bad})
	want := map[string]float64{
		`{exporter="default",field="source",action="pseudonym"}`:        20,
		`{exporter="default",field="packets",action="drop"}`:            20,
		`{exporter="siem_1",field="source",action="prefix_preserving"}`: 10,
	}
	for range 2 {
		if d := cmp.Diff(want, samples(t, m, redact.Redactions)); d != "" {
			t.Errorf("redactions (-want +got):\n%s", d)
		}
	}
	if got := samples(t, m, redact.RedactionFailures)[`{reason="unknown_kind"}`]; got != 1 {
		t.Errorf("failures of the other policy: want 1, got %v", got)
	}
}

func TestExampleOfTheDocumentLoads(t *testing.T) {
	doc, err := os.ReadFile("../docs/redaction.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "```yaml\nredact:\n")
	example, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("docs/redaction.md has no example")
	}
	var file struct {
		Redact redact.Config `yaml:"redact"`
	}
	d := yaml.NewDecoder(strings.NewReader("redact:\n" + example))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	file.Redact.KeyFile, file.Redact.KeyCredential = redacttest.KeyFile(t), ""
	p, err := redact.NewPolicy(file.Redact, redacttest.Origin)
	if err != nil {
		t.Fatal(err)
	}
	e := redacttest.Events()[6]
	e.Group = netipMust("239.10.1.1")
	got := fieldsOf(p, e)
	want := map[string]string{"group": "239.10.0.0", "host": "198.51.100.0", "domain": "lab"}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("the example shows %s as %q, want %q", name, got[name], value)
		}
	}
}
