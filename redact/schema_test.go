package redact_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// schema is as much of JSON Schema as the native form needs.
type schema struct {
	Draft       string             `json:"$schema,omitempty"`
	ID          string             `json:"$id,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        string             `json:"type,omitempty"`
	Const       any                `json:"const,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Format      string             `json:"format,omitempty"`
	Minimum     *int               `json:"minimum,omitempty"`
	Maximum     uint64             `json:"maximum,omitempty"`
	MinItems    int                `json:"minItems,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	AllOf       []*schema          `json:"allOf,omitempty"`
	If          *schema            `json:"if,omitempty"`
	Then        *schema            `json:"then,omitempty"`
}

const timePattern = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z$`

func fieldSchema(f redact.Field) *schema {
	s := &schema{Description: f.Help, Type: "string"}
	switch f.Type {
	case redact.TypeTime:
		s.Format, s.Pattern = "date-time", timePattern
	case redact.TypeNumber:
		s.Type, s.Minimum, s.Maximum = "integer", new(int), math.MaxUint64
	case redact.TypeID:
		s.Pattern = "^[0-9a-f-]+$"
	case redact.TypeList:
		s.Type, s.MinItems, s.Items = "array", 1, &schema{Type: "string"}
	}
	return s
}

func nativeSchema() *schema {
	root := &schema{
		Draft:       "https://json-schema.org/draft/2020-12/schema",
		ID:          fmt.Sprintf("urn:fanlight:event:%d", redact.SchemaVersion),
		Title:       "fanlight event",
		Description: "One event in the native form. A policy may hide any field but the version, or put a pseudonym where an address stands.",
		Type:        "object", Properties: map[string]*schema{}, Required: []string{"schema_version"},
	}
	for _, f := range redact.Table() {
		root.Properties[f.Name] = fieldSchema(f)
	}
	root.Properties["schema_version"].Const = redact.SchemaVersion
	for _, k := range bpf.Kinds() {
		root.Properties["kind"].Enum = append(root.Properties["kind"].Enum, k.String())
		root.AllOf = append(root.AllOf, &schema{
			If:   &schema{Properties: map[string]*schema{"kind": {Const: k.String()}}, Required: []string{"kind"}},
			Then: &schema{Properties: map[string]*schema{"action": {Enum: redact.Actions(k)}}},
		})
	}
	return root
}

func eventSchema(t *testing.T) string {
	text, err := json.MarshalIndent(nativeSchema(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

// check returns what is wrong with a value.
func (s *schema) check(at string, v any) (errs []string) {
	fail := func(format string, args ...any) { errs = append(errs, at+" "+fmt.Sprintf(format, args...)) }
	text, isText := v.(string)
	number, isNumber := v.(json.Number)
	switch object, isObject := v.(map[string]any); {
	case s.Type == "string" && !isText, s.Type == "integer" && !isNumber, s.Type == "object" && !isObject:
		fail("is no %s: %v", s.Type, v)
	case isObject:
		for _, name := range s.Required {
			if _, ok := object[name]; !ok {
				fail("lacks %s", name)
			}
		}
		for name, p := range s.Properties {
			if inner, ok := object[name]; ok {
				errs = append(errs, p.check(at+"."+name, inner)...)
			}
		}
	}
	if s.Type == "integer" && strings.ContainsAny(string(number), "-.e") {
		fail("is no unsigned integer: %s", number)
	}
	if s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(text) {
		fail("does not match: %q", text)
	}
	if s.Enum != nil && !slices.Contains(s.Enum, text) {
		fail("is not one of %v: %q", s.Enum, text)
	}
	if s.Const != nil && fmt.Sprint(s.Const) != fmt.Sprint(v) {
		fail("is not %v: %v", s.Const, v)
	}
	if s.Type == "array" {
		list, _ := v.([]any)
		if len(list) < s.MinItems {
			fail("has %d items", len(list))
		}
		for _, item := range list {
			errs = append(errs, s.Items.check(at+"[]", item)...)
		}
	}
	for _, rule := range s.AllOf {
		if len(rule.If.check(at, v)) == 0 {
			errs = append(errs, rule.Then.check(at, v)...)
		}
	}
	return errs
}

func parse(t *testing.T, line []byte) map[string]any {
	t.Helper()
	var event map[string]any
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&event); err != nil {
		t.Fatal(err)
	}
	return event
}

func TestRecordsMatchTheSchema(t *testing.T) {
	root := nativeSchema()
	for _, profile := range []redact.Profile{redact.DefaultProfile, redact.RevealProfile} {
		records := redacttest.Policy(t, profile).Apply(nil, append(redacttest.Events(), redacttest.CanaryEvents()...))
		for i := range records {
			event := parse(t, records[i].AppendJSON(nil))
			if errs := root.check("event", event); errs != nil {
				t.Error(errs)
			}
			for name := range event {
				if root.Properties[name] == nil {
					t.Errorf("%s is not in the schema", name)
				}
			}
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	root := nativeSchema()
	for name, v := range map[string]any{
		"kind": "dropp", "action": "joined", "time": "2026-11-22", "packets": "1", "vlan": json.Number("-1"),
		"sources": []any{}, "schema_version": json.Number("2"), "event_id": "x y", "source": json.Number("1"),
	} {
		records := redacttest.Records(t)
		event := parse(t, records[0].AppendJSON(nil))
		event[name] = v
		if root.check("event", event) == nil {
			t.Errorf("%s %v is accepted", name, v)
		}
	}
}

// Every row has a name in each format that events go to as a whole.
func TestEveryFieldHasNames(t *testing.T) {
	for _, f := range redact.Table() {
		n := f.Names
		for format, name := range map[string]string{"otel": n.OTel, "ecs": n.ECS, "ocsf": n.OCSF, "cef": n.CEF, "leef": n.LEEF} {
			if name == "" && (format != "otel" || f.Type != redact.TypeTime) {
				t.Errorf("%s has no name in %s", f.Name, format)
			}
			for _, alternatives := range redact.Alternatives(name) {
				for _, one := range alternatives {
					if !regexp.MustCompile(`^@?[A-Za-z0-9._]+$`).MatchString(one) {
						t.Errorf("%s: %s name %q", f.Name, format, one)
					}
				}
			}
		}
		if strings.ContainsAny(n.OTel, "|,") || n.OTel != "" && !strings.HasPrefix(n.OTel, "fanlight.") && !slices.Contains([]string{"host.name", "client.address"}, n.OTel) {
			t.Errorf("%s: %q is no stable name of the semantic conventions", f.Name, n.OTel)
		}
		for _, e := range n.IPFIX {
			if e.Name == "" || e.Number == 0 || e.Number >= 1<<15 { // that bit is for enterprises
				t.Errorf("%s: element %v", f.Name, e)
			}
		}
	}
}
