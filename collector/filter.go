package collector

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"

	"github.com/fanlight-io/fanlight/bpf"
)

// FilterConfig says which events an exporter gets: those that an entry of Allow
// matches, or all where there is none, but for those that an entry of Deny
// matches. It looks at events as they were before redaction.
type FilterConfig struct {
	Allow []MatchConfig `yaml:"allow"`
	Deny  []MatchConfig `yaml:"deny"`
}

// MatchConfig matches events that meet each of its conditions. A condition with
// no values is met by all; one about a group, a source or an interface by no
// event without one.
type MatchConfig struct {
	Kinds      []string       `yaml:"kinds"`
	Actions    []string       `yaml:"actions"`
	Reasons    []string       `yaml:"reasons"`
	Groups     []netip.Prefix `yaml:"groups"`
	Sources    []netip.Prefix `yaml:"sources"`
	Interfaces []string       `yaml:"interfaces"` // names or globs
}

// Validate names the entries that make no sense.
func (c FilterConfig) Validate() error {
	var errs []error
	for _, list := range []struct {
		key     string
		entries []MatchConfig
	}{{"allow", c.Allow}, {"deny", c.Deny}} {
		for i, m := range list.entries {
			if err := m.validate(); err != nil {
				errs = append(errs, fmt.Errorf("%s[%d]: %w", list.key, i, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (m MatchConfig) validate() error {
	if len(m.Kinds)+len(m.Actions)+len(m.Reasons)+len(m.Groups)+len(m.Sources)+len(m.Interfaces) == 0 {
		return errors.New("has no condition: want kinds, actions, reasons, groups, sources or interfaces")
	}
	for _, k := range m.Kinds {
		if _, ok := kindNamed(k); !ok {
			return fmt.Errorf("kinds: no kind %q; want some of %v", k, bpf.Kinds())
		}
	}
	for _, p := range m.Groups {
		if !p.Addr().IsMulticast() {
			return fmt.Errorf("groups: %v holds no group", p)
		}
	}
	for _, glob := range m.Interfaces {
		if _, err := path.Match(glob, ""); err != nil {
			return fmt.Errorf("interfaces: %q is no name or glob: %w", glob, err)
		}
	}
	return nil
}

func kindNamed(name string) (bpf.Kind, bool) {
	for _, k := range bpf.Kinds() {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}

// filter is a FilterConfig made ready. It allocates nothing per event.
type filter struct{ allow, deny []match }

type match struct {
	MatchConfig
	kinds uint64 // a bit per kind; all of them where no kind is named
}

func newFilter(c FilterConfig) *filter {
	return &filter{allow: newMatches(c.Allow), deny: newMatches(c.Deny)}
}

func newMatches(configs []MatchConfig) (list []match) {
	for _, c := range configs {
		m := match{MatchConfig: c}
		for _, name := range c.Kinds {
			if k, ok := kindNamed(name); ok {
				m.kinds |= 1 << k
			}
		}
		if len(c.Kinds) == 0 {
			m.kinds = ^uint64(0)
		}
		list = append(list, m)
	}
	return list
}

// passesAll reports whether there is nothing to filter.
func (f *filter) passesAll() bool { return len(f.allow)+len(f.deny) == 0 }

func (f *filter) passes(e *bpf.Event) bool {
	if len(f.allow) > 0 && !anyFits(f.allow, e) {
		return false
	}
	return !anyFits(f.deny, e)
}

func anyFits(list []match, e *bpf.Event) bool {
	for i := range list {
		if list[i].fits(e) {
			return true
		}
	}
	return false
}

func (m *match) fits(e *bpf.Event) bool {
	return m.kinds&(1<<e.Kind) != 0 &&
		(len(m.Actions) == 0 || slices.Contains(m.Actions, e.Action)) &&
		(len(m.Reasons) == 0 || slices.Contains(m.Reasons, e.Reason)) &&
		(len(m.Groups) == 0 || holds(m.Groups, e.Group)) &&
		(len(m.Sources) == 0 || holds(m.Sources, e.Source)) &&
		(len(m.Interfaces) == 0 || e.Interface != "" && matches(m.Interfaces, e.Interface))
}

// holds reports whether one of the prefixes contains the address.
func holds(prefixes []netip.Prefix, a netip.Addr) bool {
	if !a.IsValid() {
		return false
	}
	a = a.WithZone("").Unmap()
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
