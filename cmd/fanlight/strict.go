package main

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// checkKeys refuses keys that the configuration type of v does not know, with
// the line and the nearest known key. Also are keys that are known besides.
func checkKeys(node *yaml.Node, v any, also ...string) error {
	var errs []error
	walkKeys(node, reflect.TypeOf(v), "", also, &errs)
	return errors.Join(errs...)
}

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	yamlUnmarshaler = reflect.TypeFor[yaml.Unmarshaler]()
)

func walkKeys(node *yaml.Node, t reflect.Type, at string, also []string, errs *[]error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t != nil && at != "" && (reflect.PointerTo(t).Implements(yamlUnmarshaler) || reflect.PointerTo(t).Implements(textUnmarshaler)) {
		return // it checks itself
	}
	switch {
	case node.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for i, item := range node.Content {
			walkKeys(item, t.Elem(), fmt.Sprintf("%s[%d]", at, i), nil, errs)
		}
	case node.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		known := map[string]reflect.Type{}
		keysOf(t, known)
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i], node.Content[i+1]
			ft, ok := known[key.Value]
			path := strings.TrimPrefix(at+"."+key.Value, ".")
			if !ok {
				all := slices.AppendSeq(slices.Clone(also), maps.Keys(known))
				slices.Sort(all)
				all = slices.Compact(all)
				*errs = append(*errs, fmt.Errorf("line %d: unknown key %q%s", key.Line, path, suggest(key.Value, all)))
				continue
			}
			walkKeys(value, ft, path, nil, errs)
		}
	}
}

// keysOf collects the keys of a struct, those of inlined ones included.
func keysOf(t reflect.Type, into map[string]reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if strings.Contains(options, "inline") {
			keysOf(f.Type, into)
		} else if name != "" && name != "-" {
			into[name] = f.Type
		}
	}
}

// suggest names the known key that is nearest, or all of them if none is near.
func suggest(key string, known []string) string {
	best, distance := "", len(key)/2+2
	for _, k := range known {
		if d := editDistance(key, k); d < distance {
			best, distance = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return "; known keys: " + strings.Join(known, ", ")
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
