//go:build ignore

// Command cut reduces the compiled OCSF schema on its standard input to what a
// validator of the classes that fanlight writes needs.
//
//	gunzip -c ocsf-1.8.0.json.gz | go run cut.go > schema.json
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"
)

type attribute struct {
	Type        string                     `json:"type"`
	ObjectType  string                     `json:"object_type,omitempty"`
	Requirement string                     `json:"requirement,omitempty"`
	Profiles    []string                   `json:"profiles,omitempty"`
	IsArray     bool                       `json:"is_array,omitempty"`
	Enum        map[string]json.RawMessage `json:"-"`
	Values      []string                   `json:"enum,omitempty"`
}

type class struct {
	UID         int                   `json:"uid,omitempty"`
	Profiles    []string              `json:"profiles,omitempty"`
	Constraints map[string][]string   `json:"constraints,omitempty"`
	Attributes  map[string]*attribute `json:"attributes"`
}

type dataType struct {
	Type   string          `json:"type,omitempty"`
	Regex  string          `json:"regex,omitempty"`
	MaxLen int             `json:"max_len,omitempty"`
	Range  json.RawMessage `json:"range,omitempty"`
}

func (a *attribute) UnmarshalJSON(b []byte) error {
	type plain attribute
	var full struct {
		plain
		Enum map[string]json.RawMessage `json:"enum"`
	}
	if err := json.Unmarshal(b, &full); err != nil {
		return err
	}
	*a = attribute(full.plain)
	a.Values = slices.Sorted(maps.Keys(full.Enum))
	if a.Requirement != "required" {
		a.Requirement = ""
	}
	return nil
}

func main() {
	var full struct {
		Version    string
		Classes    map[string]*class
		Objects    map[string]*class
		Dictionary struct {
			Types struct{ Attributes map[string]*dataType }
		}
	}
	if err := json.NewDecoder(os.Stdin).Decode(&full); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"version\":%q,\n\"classes\":{\n", full.Version)
	need := map[string]bool{}
	lines(pick(full.Classes, map[string]bool{"network_activity": true, "application_error": true}))
	for _, name := range []string{"network_activity", "application_error"} {
		reach(full.Objects, full.Classes[name], need)
	}
	fmt.Print("},\n\"objects\":{\n")
	lines(pick(full.Objects, need))
	fmt.Print("},\n\"types\":{\n")
	lines(full.Dictionary.Types.Attributes)
	fmt.Print("}}\n")
}

func reach(objects map[string]*class, c *class, need map[string]bool) {
	for _, a := range c.Attributes {
		if a.ObjectType != "" && !need[a.ObjectType] {
			need[a.ObjectType] = true
			reach(objects, objects[a.ObjectType], need)
		}
	}
}

func pick(all map[string]*class, need map[string]bool) map[string]*class {
	maps.DeleteFunc(all, func(name string, _ *class) bool { return !need[name] })
	return all
}

func lines[V any](all map[string]V) {
	for i, name := range slices.Sorted(maps.Keys(all)) {
		line, err := json.Marshal(all[name])
		if err != nil {
			log.Fatal(err)
		}
		comma := ","
		if i == len(all)-1 {
			comma = ""
		}
		fmt.Printf("%q:%s%s\n", name, line, comma)
	}
}
