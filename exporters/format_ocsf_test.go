package exporters

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// ocsfSchema is the compiled schema, cut to what two classes need.
type ocsfSchema struct {
	Version string
	Classes map[string]*ocsfType
	Objects map[string]*ocsfType
	Types   map[string]*struct {
		Type   string
		Regex  string
		MaxLen int `json:"max_len"`
		Range  []int64
		re     *regexp.Regexp
	}
}

type ocsfType struct {
	UID         int
	Profiles    []string
	Constraints map[string][]string
	Attributes  map[string]struct {
		Type        string
		ObjectType  string `json:"object_type"`
		Requirement string
		Profiles    []string
		IsArray     bool `json:"is_array"`
		Enum        []string
	}
}

func readOCSF(t *testing.T) *ocsfSchema {
	var s ocsfSchema
	if err := json.Unmarshal(readFile(t, filepath.Join("testdata", "ocsf", "schema.json")), &s); err != nil {
		t.Fatal(err)
	}
	for _, typ := range s.Types {
		typ.re = regexp.MustCompile(typ.Regex)
	}
	return &s
}

// validate returns everything that is wrong with an event.
func (s *ocsfSchema) validate(event map[string]any) (errs []string) {
	uid := fmt.Sprint(event["class_uid"])
	for _, class := range s.Classes {
		if fmt.Sprint(class.UID) != uid {
			continue
		}
		metadata, _ := event["metadata"].(map[string]any)
		if metadata["version"] != s.Version {
			errs = append(errs, fmt.Sprintf("metadata.version is %v", metadata["version"]))
		}
		var profiles []string
		listed, _ := metadata["profiles"].([]any)
		for _, p := range listed {
			profiles = append(profiles, fmt.Sprint(p))
			if !slices.Contains(class.Profiles, fmt.Sprint(p)) {
				errs = append(errs, fmt.Sprintf("profile %v is not one of the class", p))
			}
		}
		activity, _ := event["activity_id"].(json.Number).Int64()
		if want := fmt.Sprint(int64(class.UID)*100 + activity); fmt.Sprint(event["type_uid"]) != want {
			errs = append(errs, "type_uid is not "+want)
		}
		if activity == 99 && event["activity_name"] == nil {
			errs = append(errs, "activity Other without a name")
		}
		return append(errs, s.check("", class, event, profiles)...)
	}
	return append(errs, "unknown class "+uid)
}

func (s *ocsfSchema) check(at string, typ *ocsfType, v map[string]any, profiles []string) (errs []string) {
	fail := func(name, why string) { errs = append(errs, at+name+" "+why) }
	in := func(want []string) bool {
		return len(want) == 0 || slices.ContainsFunc(want, func(p string) bool { return slices.Contains(profiles, p) })
	}
	for name, a := range typ.Attributes {
		if _, ok := v[name]; !ok && a.Requirement == "required" && in(a.Profiles) {
			fail(name, "is required")
		}
	}
	for rule, names := range typ.Constraints {
		n := 0
		for _, name := range names {
			if _, ok := v[name]; ok {
				n++
			}
		}
		if rule == "at_least_one" && n == 0 || rule == "just_one" && n != 1 {
			fail(fmt.Sprint(names), rule)
		}
	}
	for name, value := range v {
		a, ok := typ.Attributes[name]
		switch {
		case !ok:
			fail(name, "is unknown")
			continue
		case !in(a.Profiles):
			fail(name, fmt.Sprintf("needs one of the profiles %v", a.Profiles))
		}
		values := []any{value}
		if a.IsArray {
			if values, ok = value.([]any); !ok {
				fail(name, "is no array")
			}
		}
		for _, one := range values {
			if a.ObjectType != "" {
				inner, ok := one.(map[string]any)
				if !ok {
					fail(name, "is no object")
				} else if a.ObjectType != "object" { // that one takes anything
					errs = append(errs, s.check(at+name+".", s.Objects[a.ObjectType], inner, profiles)...)
				}
				continue
			}
			if a.Enum != nil && !slices.Contains(a.Enum, fmt.Sprint(one)) {
				fail(name, fmt.Sprintf("has no value %v", one))
			}
			if why := s.scalar(a.Type, one); why != "" {
				fail(name, why)
			}
		}
	}
	return errs
}

func (s *ocsfSchema) scalar(name string, v any) string {
	typ := s.Types[name]
	base := typ.Type
	if base == "" {
		base = name
	}
	if b, ok := s.Types[base]; ok && b.Type != "" {
		base = b.Type
	}
	switch base {
	case "string_t":
		text, ok := v.(string)
		if !ok {
			return "is no string"
		}
		if !typ.re.MatchString(text) || typ.MaxLen > 0 && len(text) > typ.MaxLen {
			return fmt.Sprintf("%q is no %s", text, name)
		}
	case "integer_t", "long_t":
		n, ok := v.(json.Number)
		if !ok {
			return "is no number"
		}
		i, err := n.Int64()
		if err != nil {
			return "does not fit"
		}
		if len(typ.Range) == 2 && (i < typ.Range[0] || i > typ.Range[1]) {
			return "is out of range"
		}
	case "boolean_t":
		if _, ok := v.(bool); !ok {
			return "is no boolean"
		}
	default:
		return "has a type that this test does not know: " + base
	}
	return ""
}

func TestOCSFIsValid(t *testing.T) {
	schema, records := readOCSF(t), testRecords(t)
	enc := newOCSF()
	for i := range records {
		line := enc.append(nil, &records[i])
		for _, err := range schema.validate(decode(t, line)) {
			t.Errorf("%s in %s", err, line)
		}
	}
}

// The validator finds what it is there to find.
func TestOCSFValidatorFinds(t *testing.T) {
	schema := readOCSF(t)
	records := redacttest.Records(t)
	tests := []struct {
		name  string
		spoil func(event map[string]any)
	}{
		{"required", func(e map[string]any) { delete(e, "severity_id") }},
		{"required inside", func(e map[string]any) { delete(e["metadata"].(map[string]any), "product") }},
		{"required by a profile", func(e map[string]any) { delete(e["device"].(map[string]any), "type_id") }},
		{"unknown", func(e map[string]any) { e["group"] = "x" }},
		{"enum", func(e map[string]any) { e["severity_id"] = json.Number("7") }},
		{"type", func(e map[string]any) { e["time"] = "now" }},
		{"address", func(e map[string]any) { e["dst_endpoint"] = map[string]any{"ip": "group_x"} }},
		{"constraint", func(e map[string]any) { delete(e, "src_endpoint"); delete(e, "dst_endpoint") }},
		{"constraint inside", func(e map[string]any) { e["dst_endpoint"] = map[string]any{"port": json.Number("1")} }},
		{"profile", func(e map[string]any) { e["metadata"].(map[string]any)["profiles"] = []any{"host"} }},
		{"foreign profile", func(e map[string]any) {
			e["metadata"].(map[string]any)["profiles"] = []any{"host", "security_control", "x"}
		}},
		{"type_uid", func(e map[string]any) { e["activity_id"] = json.Number("2") }},
		{"array", func(e map[string]any) { e["metadata"].(map[string]any)["labels"] = "x" }},
		{"range", func(e map[string]any) { e["dst_endpoint"].(map[string]any)["port"] = json.Number("65536") }},
	}
	for _, tt := range tests {
		event := decode(t, newOCSF().append(nil, &records[0]))
		if errs := schema.validate(event); len(errs) > 0 {
			t.Fatalf("before: %v", errs)
		}
		tt.spoil(event)
		if len(schema.validate(event)) == 0 {
			t.Errorf("%s: not found", tt.name)
		}
	}
}
