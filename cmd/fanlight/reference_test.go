package main

import (
	"bytes"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/exporters"
)

const referencePath = "../../deploy/reference.yaml"

func readReference(t *testing.T) ([]byte, *yaml.Node) {
	t.Helper()
	raw, err := os.ReadFile(referencePath)
	if err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return raw, doc.Content[0]
}

func TestReferenceIsValid(t *testing.T) {
	raw, _ := readReference(t)
	c, err := parseConfig(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	d := bpf.DefaultSettings()
	if want, got := collector.TablesConfig(d), c.Tables; want != got {
		t.Errorf("tables are not the defaults (-want +got):\n%s", cmp.Diff(want, got))
	}
	if c.BPFFS != collector.DefaultBPFFS {
		t.Errorf("bpffs is %s, the default is %s", c.BPFFS, collector.DefaultBPFFS)
	}
}

// TestReferenceDocumentsEveryKey compares the file with the configuration's
// types: a key that was added or renamed must be here, with a comment.
func TestReferenceDocumentsEveryKey(t *testing.T) {
	_, doc := readReference(t)
	want := map[string]bool{}
	keyPaths(reflect.TypeFor[config](), "", want)
	for _, typ := range exporters.Types() {
		own, err := exporters.NewConfig(typ)
		if err != nil {
			t.Fatal(err)
		}
		keyPaths(reflect.TypeOf(own), "events["+typ+"]", want)
		want["events["+typ+"].type"] = true
	}
	keyPaths(reflect.TypeFor[collector.SinkConfig](), "events[file]", want) // explained once

	got := map[string]bool{}
	documented(t, doc, "", got)
	for _, keys := range []map[string]bool{want, got} {
		maps.DeleteFunc(keys, func(key string, _ bool) bool {
			return strings.HasPrefix(key, "events[file].redact.rules.") || strings.HasPrefix(key, "events[file].filter.deny.") // as those of redact.rules and of allow
		})
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("keys of %s (-wanted +there):\n%s", referencePath, diff)
	}
}

// keyPaths collects the keys that a configuration type has.
func keyPaths(typ reflect.Type, at string, into map[string]bool) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || reflect.PointerTo(typ).Implements(textUnmarshaler) {
		return
	}
	if typ == reflect.TypeFor[eventConfig]() {
		return // by exporter, see the caller
	}
	keys := map[string]reflect.Type{}
	keysOf(typ, keys)
	for name, field := range keys {
		path := strings.TrimPrefix(at+"."+name, ".")
		into[path] = true
		keyPaths(field, path, into)
	}
}

// documented collects the keys of the file, and complains of those without a
// comment.
func documented(t *testing.T, node *yaml.Node, at string, into map[string]bool) {
	switch node.Kind {
	case yaml.SequenceNode:
		for _, item := range node.Content {
			here := at
			if at == "events" {
				here = "events[" + valueOf(item, "type") + "]"
			}
			documented(t, item, here, into)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i], node.Content[i+1]
			path := strings.TrimPrefix(at+"."+key.Value, ".")
			if key.LineComment+value.LineComment+key.HeadComment == "" {
				t.Errorf("line %d: %s has no comment", key.Line, path)
			}
			if at == "metrics.budgets" || at == "observe.silence.groups" {
				continue // names of metrics, prefixes of groups: not keys
			}
			into[path] = true
			documented(t, value, path, into)
		}
	}
}

func valueOf(mapping *yaml.Node, key string) string {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1].Value
		}
	}
	return ""
}

// TestMinimalConfig is the configuration that newcomers meet first.
func TestMinimalConfig(t *testing.T) {
	raw, err := os.ReadFile("testdata/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseConfig(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Domains) != 1 || c.Domains[0].Name != "lab" || len(c.Events) != 1 || c.Metrics.Listen != "127.0.0.1:9464" {
		t.Errorf("not read as written: %+v", c)
	}
}
