package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// addLines puts in front of each error the line of the key that it is about.
// Errors begin with the path to a key, such as domains[lab].limits.groups or
// events[0]: format.
func addLines(err error, doc *yaml.Node) error {
	var all []error
	for _, e := range flatten(err) {
		if line := lineOf(e.Error(), doc); line > 0 {
			e = fmt.Errorf("line %d: %w", line, e)
		}
		all = append(all, e)
	}
	return errors.Join(all...)
}

// flatten returns the errors that were joined.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		if err == nil {
			return nil
		}
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

// step is a key, perhaps with an index or a name in brackets behind it, and what
// separates it from the next.
var step = regexp.MustCompile(`^([a-z0-9_]+)(?:\[([^\]]*)\])?(\.|: | |$)`)

// lineOf follows the path at the beginning of the text as far as it leads, and
// returns the line there, or 0.
func lineOf(text string, node *yaml.Node) (line int) {
	for node != nil {
		m := step.FindStringSubmatch(text)
		if m == nil {
			return line
		}
		key, value := lookUp(node, m[1])
		if key == nil {
			return line
		}
		line, node, text = key.Line, value, text[len(m[0]):]
		if item := itemOf(node, m[2]); item != nil {
			line, node = item.Line, item
		}
	}
	return line
}

func lookUp(node *yaml.Node, name string) (key, value *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i], node.Content[i+1]
		}
	}
	return nil, nil
}

// itemOf returns the item of a list by its place or its name.
func itemOf(list *yaml.Node, selector string) *yaml.Node {
	if list.Kind != yaml.SequenceNode || selector == "" {
		return nil
	}
	if i, err := strconv.Atoi(selector); err == nil {
		if i < len(list.Content) {
			return list.Content[i]
		}
		return nil
	}
	for _, item := range list.Content {
		if _, name := lookUp(item, "name"); name != nil && strings.EqualFold(name.Value, selector) {
			return item
		}
	}
	return nil
}
