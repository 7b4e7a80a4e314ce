package exporters

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

type ecsField struct {
	kind  string
	array bool
}

func ecsFields(t *testing.T) map[string]ecsField {
	all := map[string]ecsField{}
	lines := bufio.NewScanner(bytes.NewReader(readFile(t, filepath.Join("testdata", "ecs", "fields.tsv"))))
	for lines.Scan() {
		if name, rest, ok := strings.Cut(lines.Text(), "\t"); ok {
			kind, array, _ := strings.Cut(rest, "\t")
			all[name] = ecsField{kind, array == "array"}
		}
	}
	return all
}

// decode reads a line with its numbers as they are.
func decode(t *testing.T, line []byte) map[string]any {
	t.Helper()
	var doc map[string]any
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	// The decoder drops doubled keys; the length of what it kept tells.
	again, err := json.Marshal(doc)
	if err != nil || strings.Count(string(again), `":`) != strings.Count(string(line), `":`) {
		t.Errorf("a key is there twice: %s", line)
	}
	return doc
}

func flatten(doc map[string]any, at string, visit func(name string, v any)) {
	for key, v := range doc {
		name := strings.TrimPrefix(at+"."+key, ".")
		if inner, ok := v.(map[string]any); ok {
			flatten(inner, name, visit)
			continue
		}
		visit(name, v)
	}
}

var ecsMAC = regexp.MustCompile(`^[A-F0-9]{2}(-[A-F0-9]{2}){5,}$`)

// checkECS says what is wrong with a field, or "".
func checkECS(fields map[string]ecsField, name string, v any) string {
	f, ok := fields[name]
	if !ok {
		if strings.HasPrefix(name, "fanlight.") {
			return ""
		}
		return "is no field of ECS"
	}
	if list, ok := v.([]any); ok != f.array {
		return "array where there is none, or the other way around"
	} else if ok {
		for _, one := range list {
			if why := checkECS(map[string]ecsField{name: {f.kind, false}}, name, one); why != "" {
				return why
			}
		}
		return ""
	}
	text, isText := v.(string)
	switch f.kind {
	case "keyword", "match_only_text":
		if !isText {
			return "is no string"
		}
		if strings.HasSuffix(name, ".mac") && !ecsMAC.MatchString(text) {
			return "has not the pattern of an Ethernet address"
		}
	case "ip":
		if _, err := netip.ParseAddr(text); err != nil {
			return "is no address"
		}
	case "date":
		if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
			return "is no time"
		}
	case "long":
		n, ok := v.(json.Number)
		if !ok {
			return "is no number"
		}
		if _, err := n.Int64(); err != nil {
			return "does not fit in 64 bits with a sign"
		}
	default:
		return "has a type that this test does not know: " + f.kind
	}
	return ""
}

// What ECS expects of events in a category, besides error and the like.
var ecsTypes = map[string][]string{
	"network": {"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"},
	"host":    {"access", "change", "end", "info", "start"},
}

func TestECSIsValid(t *testing.T) {
	fields, records := ecsFields(t), testRecords(t)
	enc := newECS()
	for i := range records {
		line := enc.append(nil, &records[i])
		doc := decode(t, line)
		flatten(doc, "", func(name string, v any) {
			if why := checkECS(fields, name, v); why != "" {
				t.Errorf("%s %s: %v in %s", name, why, v, line)
			}
		})
		event := doc["event"].(map[string]any)
		category := event["category"].([]any)[0].(string)
		for _, typ := range event["type"].([]any) {
			if !slices.Contains(ecsTypes[category], typ.(string)) {
				t.Errorf("event.type %s is not expected in category %s", typ, category)
			}
		}
		if outcome, ok := event["outcome"]; ok && outcome != "success" && outcome != "failure" {
			t.Errorf("event.outcome: %v", outcome)
		}
		if event["kind"] != "event" || doc["@timestamp"] == nil || doc["ecs"] == nil {
			t.Errorf("what each document must have is not in %s", line)
		}
	}
}

// The check of ECS finds what it is there to find.
func TestECSCheckFinds(t *testing.T) {
	fields := ecsFields(t)
	tests := []struct {
		name string
		v    any
		want bool
	}{
		{"source.ip", "source_cd27abf0_ba0eb6649ca9dd39b5e7e2cd", false},
		{"source.ip", "192.0.2.1", true},
		{"client.mac", "02:00:5e:10:20:30", false},
		{"client.mac", "02-00-5E-10-20-3F", true},
		{"network.vlan.id", json.Number("100"), false},
		{"source.bytes", json.Number(fmt.Sprint(uint64(math.MaxUint64))), false},
		{"source.bytez", json.Number("1"), false},
		{"event.category", "network", false},
	}
	for _, tt := range tests {
		if why := checkECS(fields, tt.name, tt.v); (why == "") != tt.want {
			t.Errorf("%s %v: valid: want %t, got %q", tt.name, tt.v, tt.want, why)
		}
	}
}
