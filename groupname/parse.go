package groupname

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// What a file of names may hold.
const (
	maxFileBytes = 16 << 20
	maxEntries   = 1 << 16
	maxNameBytes = 128
)

// Load reads the operator's names and returns a table of them and what comes
// with the program. A file whose name ends in .yaml or .yml is a mapping of
// ranges to names; any other has a range, blanks and a name on each line, and
// comments behind #. A range is an address, a prefix, or first-last; ff0x::
// means every scope of IPv6.
//
// Errors name the file and the line.
func Load(path string) (*Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	own, err := Parse(raw, filepath.Ext(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return own, nil
}

// Parse is Load of what the file holds; ext is the end of its name.
func Parse(raw []byte, ext string) (*Table, error) {
	if len(raw) > maxFileBytes {
		return nil, fmt.Errorf("more than %d bytes", maxFileBytes)
	}
	parse := parseLines
	if ext == ".yaml" || ext == ".yml" {
		parse = parseYAML
	}
	own, err := parse(raw)
	if err != nil {
		return nil, err
	}
	for i := range own {
		own[i].rank = 1
	}
	return newTable(append(own, builtin...)), nil
}

func parseLines(raw []byte) (entries []Entry, err error) {
	c := collection{seen: map[[2]netip.Addr]int{}}
	number := 0
	for line := range bytes.Lines(raw) {
		number++
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		at := strings.IndexFunc(text, unicode.IsSpace)
		if at < 0 {
			return nil, fmt.Errorf("line %d: want a group or a range, a tab and a name", number)
		}
		name, kind, _ := strings.Cut(strings.TrimSpace(text[at:]), "\t")
		if err := c.add(text[:at], name, strings.TrimSpace(kind), number); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	return c.entries, nil
}

func parseYAML(raw []byte) (entries []Entry, err error) {
	var doc yaml.Node
	err = yaml.Unmarshal(raw, &doc)
	if err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: want a mapping of groups or ranges to names", root.Line)
	}
	c := collection{seen: map[[2]netip.Addr]int{}}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if value.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: want a name", value.Line)
		}
		if err := c.add(key.Value, value.Value, "", key.Line); err != nil {
			return nil, fmt.Errorf("line %d: %w", key.Line, err)
		}
	}
	return c.entries, nil
}

// collection holds the entries of one file.
type collection struct {
	entries []Entry
	seen    map[[2]netip.Addr]int // the line of a range
}

func (c *collection) add(where, name, kind string, line int) error {
	e, err := parseRange(where)
	if err != nil {
		return err
	}
	if e.Name, err = checkName(name); err != nil {
		return err
	}
	switch kind {
	case "":
	case "unassigned":
		e.Status = Unassigned
	case "reserved":
		e.Status = Reserved
	case "block":
		e.Status = Block
	default:
		return fmt.Errorf("%q behind the name is none of unassigned, reserved, block", kind)
	}
	key := [2]netip.Addr{e.First, e.Last}
	if e.AnyScope {
		key[1] = netip.Addr{} // ff00::/8 is no group of scope 0
	}
	if before, ok := c.seen[key]; ok {
		return fmt.Errorf("%s has a name already, in line %d", where, before)
	}
	if len(c.entries) >= maxEntries {
		return fmt.Errorf("more than %d entries", maxEntries)
	}
	c.seen[key] = line
	c.entries = append(c.entries, e)
	return nil
}

// parseRange reads an address, a prefix or first-last, all of groups.
func parseRange(text string) (e Entry, err error) {
	bad := fmt.Errorf("%q is no group, prefix of groups or range of groups, such as 239.1.1.1, 239.1.0.0/16, 239.1.1.1-239.1.1.9 or ff0x::101", text)
	plain := text
	if len(text) > 4 && strings.EqualFold(text[:4], "ff0x") {
		e.AnyScope, plain = true, "ff00"+text[4:]
	}
	first, last, isRange := strings.Cut(plain, "-")
	switch {
	case isRange:
		var err1, err2 error
		e.First, err1 = netip.ParseAddr(first)
		e.Last, err2 = netip.ParseAddr(last)
		err = errors.Join(err1, err2)
	case strings.Contains(plain, "/"):
		var p netip.Prefix
		if p, err = netip.ParsePrefix(plain); err == nil {
			e.First, e.Last = p.Masked().Addr(), lastOf(p)
		}
	default:
		e.First, err = netip.ParseAddr(plain)
		e.Last = e.First
	}
	switch {
	case err != nil, !e.First.IsMulticast(), !e.Last.IsMulticast(), e.First.Is4() != e.Last.Is4(), e.First.Is4In6(), e.First.Zone()+e.Last.Zone() != "":
		return e, bad
	case e.Last.Less(e.First):
		return e, fmt.Errorf("%q ends before it begins", text)
	}
	return e, nil
}

// lastOf returns the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(b); bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

// checkName refuses what would break a line of a table, a terminal or a metric.
func checkName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return "", errors.New("the name is missing")
	case len(name) > maxNameBytes:
		return "", fmt.Errorf("the name has %d bytes; %d are the most", len(name), maxNameBytes)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", errors.New("the name has characters that can't be shown")
	}
	return name, nil
}
