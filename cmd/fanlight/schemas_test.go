package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// schemaDir holds a JSON Schema for what each verb writes with -o json: per
// value, where it writes several.
const schemaDir = "../../docs/cli"

// verbsWithJSON are those that have the flag, such as "groups list".
func verbsWithJSON() (verbs []string) {
	root := newRoot(env{})
	for _, c := range allVerbs(root) {
		if c.Flags().Lookup("output") != nil {
			verbs = append(verbs, strings.TrimPrefix(c.CommandPath(), root.Name()+" "))
		}
	}
	return verbs
}

func schemaPath(verb string) string {
	return filepath.Join(schemaDir, strings.ReplaceAll(verb, " ", "-")+".schema.json")
}

// jsonCalls are real calls of each verb with -o json: against an agent at SOCKET
// that forwards and loses, with an event in EVENT, a configuration in CONFIG and a
// key in KEY. A verb without one fails the test.
var jsonCalls = map[string][]string{
	"check":              {"", "--config CONFIG"},
	"doctor":             {"--group 239.1.1.1 --interface lo --for 200ms --socket SOCKET"},
	"drops list":         {"--socket SOCKET"},
	"explain":            {"", "ttl"},
	"groups add":         {"239.7.7.7 --socket SOCKET"},
	"groups delete":      {"239.7.7.7 --socket SOCKET"},
	"groups show":        {"239.1.1.1 --interval 60ms --socket SOCKET", "239.100.0.1 --interval 0 --socket SOCKET"},
	"lint":               {"PLAN", "--explain all"},
	"streams list":       {"--socket SOCKET", "--interval 60ms --socket SOCKET"},
	"subscribers add":    {"--group 239.7.7.7 --interface p-sub --socket SOCKET", "--group 239.7.7.7 --interface none --socket SOCKET"},
	"subscribers delete": {"--group 239.7.7.7 --interface p-sub --socket SOCKET"},
	"groups list":        {"--socket SOCKET", "--socket SOCKET --group 239.9.9.9"},
	"observe":            {"--socket SOCKET --last 100"},
	"probe":              {"--config CONFIG"},
	"redact explain":     {"EVENT", "EVENT --config CONFIG"},
	"redact reveal":      {"--key KEY 198.123.155.246 f2:2e:5e:96:c2:30"},
	"status":             {"--socket SOCKET"},
	"subscribers list":   {"--socket SOCKET"},
	"top":                {"--batch --interval 100ms --socket SOCKET", "--batch --interval 100ms --view drops --socket SOCKET"},
	"version":            {""},
}

// TestJSONOfEveryVerb holds what verbs write against their schemas.
func TestJSONOfEveryVerb(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	a := startAgent(t, n, quickQuerier, "unregistered: drop")
	joinGroup(t, n.Host("sub"), testGroup)
	a.waitMembers("239.1.1.1", 1)
	send(t, n.Host("pub"), lab.SendConfig{Group: testGroup, Count: 5})
	send(t, n.Host("pub"), lab.SendConfig{Group: crowdGroup(1), Count: 5}) // nobody joined it
	a.wait("packets are dropped", func(s series) bool { return s.sum("fanlight_drops_total", "unregistered") > 0 })

	cfg := fmt.Sprintf("domains: [{name: lab, ports: [none-*]}]\nevents: [{type: file, path: %s}]\n", filepath.Join(t.TempDir(), "events"))
	fill := strings.NewReplacer("SOCKET", filepath.Join(filepath.Dir(a.events), "api.sock"), "EVENT", eventFile(t),
		"CONFIG", writeFile(t, "fanlight.yaml", cfg), "KEY", redacttest.KeyFile(t),
		"PLAN", writeFile(t, "plan.yaml", "groups: [{group: 239.192.1.1, ttl: 1, vlan: 7}, {group: 239.193.1.1}, {group: 232.65.1.1, sources: [192.0.2.1], vlan: 7}]\n"))
	seen := map[string]bool{}
	for _, verb := range verbsWithJSON() {
		calls := jsonCalls[verb]
		if len(calls) == 0 {
			t.Errorf("'fanlight %s -o json' is called by nothing in jsonCalls", verb)
		}
		schema := compileSchema(t, verb)
		for _, args := range calls {
			line := verb + " -o json " + fill.Replace(args)
			out, _, err := call(t.Context(), strings.Fields(line)...)
			if err != nil && verb != "check" && verb != "doctor" { // whose status tells of this machine
				t.Errorf("fanlight %s: %v", line, err)
			}
			d := json.NewDecoder(strings.NewReader(out))
			d.UseNumber()
			values := 0
			for ; d.More(); values++ {
				var v any
				if err := d.Decode(&v); err != nil {
					t.Fatalf("fanlight %s: %v:\n%s", line, err, out)
				}
				if err := schema.Validate(v); err != nil {
					t.Errorf("fanlight %s: %v\n%s", line, err, out)
				}
				noteKeys(seen, verb, v)
			}
			if values == 0 {
				t.Errorf("fanlight %s wrote nothing", line)
			}
		}
		if *update {
			continue
		}
		for _, key := range requiredKeys(t, verb) {
			if !seen[verb+" "+key] {
				t.Errorf("%s: nothing called here has %q: its schema is not put to the test", verb, key)
			}
		}
	}
	for verb := range jsonCalls {
		if !slices.Contains(verbsWithJSON(), verb) {
			t.Errorf("jsonCalls has %q, which has no -o json", verb)
		}
	}
}

func compileSchema(t *testing.T, verb string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile(schemaPath(verb))
	if err != nil {
		t.Fatalf("'fanlight %s -o json' has no schema that says what it writes: %v", verb, err)
	}
	return schema
}

// noteKeys remembers the keys of all objects in a value.
func noteKeys(seen map[string]bool, verb string, v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			noteKeys(seen, verb, x)
		}
	case map[string]any:
		for key, x := range v {
			seen[verb+" "+key] = true
			noteKeys(seen, verb, x)
		}
	}
}

// schemaObject is what the rules for schemas look at.
type schemaObject struct {
	Description          string                  `json:"description"`
	Properties           map[string]schemaObject `json:"properties"`
	AdditionalProperties json.RawMessage         `json:"additionalProperties"`
	Required             []string                `json:"required"`
	Items                *schemaObject           `json:"items"`
	Defs                 map[string]schemaObject `json:"$defs"`
	Ref                  string                  `json:"$ref"`
}

func readSchema(t *testing.T, verb string) (s schemaObject) {
	t.Helper()
	raw, err := os.ReadFile(schemaPath(verb))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatalf("%s: %v", schemaPath(verb), err)
	}
	return s
}

// each calls do for the schema and all in it.
func (s schemaObject) each(path string, do func(path string, s schemaObject)) {
	do(path, s)
	for key, p := range s.Properties {
		p.each(path+"."+key, do)
	}
	for key, p := range s.Defs {
		p.each(path+".$defs."+key, do)
	}
	if s.Items != nil {
		s.Items.each(path+"[]", do)
	}
}

func requiredKeys(t *testing.T, verb string) (keys []string) {
	readSchema(t, verb).each("", func(_ string, s schemaObject) { keys = append(keys, s.Required...) })
	return keys
}

// TestSchemasLeaveNothingOpen: each key is described, and no other is allowed.
func TestSchemasLeaveNothingOpen(t *testing.T) {
	known := map[string]bool{}
	for _, verb := range verbsWithJSON() {
		path := schemaPath(verb)
		known[filepath.Base(path)] = true
		readSchema(t, verb).each("", func(at string, s schemaObject) {
			if s.Properties != nil && !bytes.Equal(s.AdditionalProperties, []byte("false")) {
				t.Errorf("%s: %s allows keys that it does not name", path, at)
			}
			for key, p := range s.Properties {
				if p.Description == "" {
					t.Errorf("%s: %s.%s has no description", path, at, key)
				}
			}
		})
	}
	found, err := filepath.Glob(filepath.Join(schemaDir, "*.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		if !known[filepath.Base(path)] {
			t.Errorf("%s is of no verb: remove it", path)
		}
	}
}

// TestObserveWritesEvents: the fields of an event are described once, in its own
// schema; that of observe has the same. -update takes them over.
func TestObserveWritesEvents(t *testing.T) {
	read := func(path string) (s map[string]any) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	event, observe := read("../../docs/event.schema.json"), read(schemaPath("observe"))
	if *update {
		observe["properties"] = event["properties"]
		raw, err := json.MarshalIndent(observe, "", "  ")
		if err == nil {
			err = os.WriteFile(schemaPath("observe"), append(raw, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(event["properties"], observe["properties"]); diff != "" {
		t.Errorf("properties (-events +observe):\n%s", diff)
	}
}
