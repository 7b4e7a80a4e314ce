package main

import (
	"strings"
	"testing"
)

// oneDomain is a valid beginning, of three lines.
const oneDomain = `domains:
  - name: lab
    ports: ["p-*"]
`

func TestConfigErrorsNameTheKey(t *testing.T) {
	for _, c := range []struct {
		name, yaml string
		want       []string // all of them in the error
	}{
		{"empty file", "", []string{"empty"}},
		{"not a mapping", "- a\n", []string{"line 1"}},
		{"unknown key", oneDomain + "metrcs: {}\n", []string{"line 4", `"metrcs"`, `did you mean "metrics"?`}},
		{"unknown key, nothing near", oneDomain + "zzzzzzzzzzzzzz: 1\n", []string{"line 4", "known keys: ", "bpffs", "redact"}},
		{"inline key of the agent", oneDomain + "bpfs: /x\n", []string{"line 4", `did you mean "bpffs"?`}},
		{"key of a domain", oneDomain + "    unregisterd: drop\n", []string{"line 4", `"domains[0].unregisterd"`, `"unregistered"`}},
		{"key two levels down", oneDomain + "    querier: {versions: {igmp: 3}}\n", []string{"line 4", `"domains[0].querier.versions"`, `"version"`}},
		{"key three levels down", oneDomain + "    querier: {version: {ipv4: 3}}\n", []string{"line 4", `"domains[0].querier.version.ipv4"`}},
		{"limit", oneDomain + "    limits:\n      group: 3\n", []string{"line 5", `"domains[0].limits.group"`, `"groups"`}},
		{"inline key of metrics", oneDomain + "metrics: {budgt: 3}\n", []string{"line 4", `"metrics.budgt"`, `"budget"`}},
		{"live page for other hosts", oneDomain + "live: {listen: 0.0.0.0:9465}\n", []string{"line 4", "live: listen: 0.0.0.0 can be reached from other hosts", "127.0.0.1:9465"}},
		{"live page and an exporter of its name", oneDomain + "live: {listen: 127.0.0.1:9465}\nevents: [{type: stdout, name: live}]\n", []string{"line 5", `"live" is used twice`}},
		{"exporter key", oneDomain + "events:\n  - type: file\n    pth: x\n", []string{"line 6", `"pth"`, `"path"`}},
		{"exporter key that all have", oneDomain + "events: [{type: stdout, queue_record: 5}]\n", []string{"line 4", `"queue_records"`}},
		{"exporter type", oneDomain + "events: [{type: fiel}]\n", []string{"line 4", `"fiel"`, "file, kafka, otlp, stdout"}},
		{"exporter without a type", oneDomain + "events: [{path: x}]\n", []string{"line 4", `type ""`}},
		{"exporter that is no mapping", oneDomain + "events: [stdout]\n", []string{"line 4", "mapping"}},
		{"queue of nothing", oneDomain + "events: [{type: stdout, queue_records: 0}]\n", []string{"line 4", "queue_records"}},
		{"two unknown keys", oneDomain + "bpfs: /x\nnetn: y\n", []string{"line 4", "line 5", `"bpffs"`, `"netns"`}},
		{"wrong type: list for number", oneDomain + "    limits: {groups: [1]}\n", []string{"line 4"}},
		{"wrong type: word for number", oneDomain + "    sample: often\n", []string{"line 4", "often"}},
		{"wrong type: word for list", "domains: lab\n", []string{"line 1"}},
		{"wrong type: number without a unit", oneDomain + "    querier: {query_interval: soon}\n", []string{"line 4", "soon"}},
		{"wrong type: prefix", oneDomain + "    allow: [224.0.0.0]\n", []string{"224.0.0.0"}},
		{"key twice", oneDomain + "hook: tcx\nhook: tcx\n", []string{"line 5", "hook"}},
		{"value", oneDomain + "hook: xdp\n", []string{"hook", `"xdp"`, "tcx"}},
		{"no domain", "hook: tcx\n", []string{"domains"}},
		{"name twice", oneDomain + "  - {name: lab, ports: [q]}\n", []string{"domains[lab]", "twice"}},
		{"glob", "domains: [{name: lab, ports: [\"p[\"]}]\n", []string{"domains[lab].ports", `"p["`}},
		{"no multicast", oneDomain + "    allow: [10.0.0.0/8]\n", []string{"domains[lab].allow", "10.0.0.0/8"}},
		{"negative limit", oneDomain + "    limits: {sources: -1}\n", []string{"domains[lab].limits.sources", "-1"}},
		{"querier", oneDomain + "    querier: {mode: maybe}\n", []string{"domains[lab]", "querier", "maybe"}},
		{"ring size", oneDomain + "tables: {event_ring_bytes: 5000}\n", []string{"tables.event_ring_bytes", "power of two"}},
		{"groups do not fit", oneDomain + "    limits: {groups: 5000}\n", []string{"limits.groups", "5000", "tables.groups", "4096"}},
		{"members do not fit", oneDomain + "    limits: {members: 70000}\n", []string{"limits.members", "70000", "tables.pairs", "65536"}},
		{"sources do not fit", oneDomain + "    limits: {sources: 20000}\n", []string{"limits.sources", "tables.sources", "16384"}},
		{"vlans do not fit", oneDomain + "    limits: {vlans: 300}\n", []string{"limits.vlans", "tables.vlans", "256"}},
		{"together they do not fit", oneDomain + "    limits: {groups: 3000}\n  - {name: b, ports: [q], limits: {groups: 3000}}\n", []string{"limits.groups", "6000"}},
		{"too many domains", oneDomain + "  - {name: b, ports: [q]}\ntables: {domains: 2}\n", []string{"domains", "2 given", "tables.domains", "1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseConfig(strings.NewReader(c.yaml))
			if err == nil {
				t.Fatalf("accepted:\n%s", c.yaml)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q says nothing of %q", err, w)
				}
			}
		})
	}
}

func TestConfigsThatAreGood(t *testing.T) {
	for name, yaml := range map[string]string{
		"least": oneDomain,
		"all of the limits": oneDomain + `    limits: {groups: 4000, members: 60000, sources: 16000, vlans: 100, ports_per_group: 1024,
      sources_per_group: 64, hosts_per_port: 512, messages_per_second_per_port: 1000, streams_per_group: 10}
  - {name: b, ports: [q]}
`,
		"larger tables": oneDomain + "    limits: {groups: 8000}\ntables: {groups: 8192}\n",
		"exporters":     oneDomain + "events: [{type: file, path: x, queue_records: 5}, {type: stdout}]\nmetrics: {listen: 127.0.0.1:0, budget: 5}\n",
	} {
		if _, err := parseConfig(strings.NewReader(yaml)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(oneDomain)
	f.Add(oneDomain + "events: [{type: file, path: x}]\n")
	f.Add("domains: &a [*a]\n")
	f.Add("<<: {}\n? [a]\n: b\n")
	f.Fuzz(func(t *testing.T, yaml string) {
		parseConfig(strings.NewReader(yaml)) // an error is fine, a panic is not
	})
}
