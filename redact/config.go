package redact

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
)

// Config is the policy as the operator writes it. The zero value is the
// default profile with a key made at start.
type Config struct {
	// Profile is default, strict, siem or reveal.
	Profile Profile `yaml:"profile"`
	// Typed refuses what would put a pseudonym where an address belongs, for
	// destinations whose schema demands addresses. Profile siem implies it.
	Typed bool `yaml:"typed"`
	// Rules come before the profile; the first that matches decides.
	Rules []Rule `yaml:"rules"`
	// KeyFile holds the keys, as `fanlight redact genkey` makes it, or one key
	// of at least 32 bytes, used as they are. Only its owner may read it.
	// Without a key the agent makes a random one when it starts, and pseudonyms
	// change at each restart.
	KeyFile string `yaml:"key_file"`
	// KeyCredential is the name of a systemd credential that holds the keys
	// instead: LoadCredential=NAME:FILE in the unit.
	KeyCredential string `yaml:"key_credential"`
	// CacheEntries bounds the values whose text or pseudonym is kept, per rule
	// and class; 0 means 65536. Each takes some 150 bytes once it was seen.
	CacheEntries int `yaml:"cache_entries"`
}

// Rule says what happens to some fields. It matches the fields that it lists,
// or those of the classes that it lists, in events that fit all of its
// conditions. It matches labels of metrics alike, unless it lists kinds.
type Rule struct {
	// Name shows up in explanations; by default the rule's number.
	Name string `yaml:"name"`
	// Fields are names of fields, as docs/events.md lists them.
	Fields []string `yaml:"fields"`
	// Classes are names of classes of fields, as docs/events.md lists them.
	Classes []string `yaml:"classes"`
	// Kinds are kinds of events.
	Kinds []string `yaml:"kinds"`
	// Groups are prefixes; one must hold the event's group.
	Groups []netip.Prefix `yaml:"groups"`
	// Interfaces are names or globs; one must fit the event's interface.
	Interfaces []string `yaml:"interfaces"`
	// Action is keep, drop, mask, prefix_preserving, pseudonym, bucket or
	// replace.
	Action string `yaml:"action"`
	// Mask is how many bits action mask leaves.
	Mask Mask `yaml:"mask"`
	// Bucket is what action bucket rounds down to.
	Bucket Bucket `yaml:"bucket"`
	// With is what action replace writes instead.
	With string `yaml:"with"`
}

// Mask is how many bits are left of an address.
type Mask struct {
	V4  *int `yaml:"v4"`  // default 24
	V6  *int `yaml:"v6"`  // default 48
	MAC *int `yaml:"mac"` // default 24: who made the interface
}

// Bucket is what numbers are rounded down to multiples of.
type Bucket struct {
	Count uint64        `yaml:"count"`
	Time  time.Duration `yaml:"time"`
}

// Override is what one exporter's policy has of its own.
type Override struct {
	// Profile replaces the profile, its typed and its rules.
	Profile Profile `yaml:"profile"`
	// Typed is as in Config.
	Typed bool `yaml:"typed"`
	// Rules come before those of the base, or, with a profile, instead of them.
	Rules []Rule `yaml:"rules"`
	// Fields are the names of the fields that leave, besides those without which
	// a record is of no use; empty: all that the policy lets out.
	Fields []string `yaml:"-"`
}

// With returns the configuration of an exporter whose section holds o. Keys and
// cache are those of c.
func (c Config) With(o Override) Config {
	if o.Profile != "" {
		c.Profile, c.Typed, c.Rules = o.Profile, false, nil
	}
	c.Typed = c.Typed || o.Typed
	c.Rules = slices.Concat(o.fieldRule(), o.Rules, c.Rules)
	return c
}

// fieldRule drops every field that o does not choose, before any other rule
// has a say.
func (o Override) fieldRule() []Rule {
	if len(o.Fields) == 0 {
		return nil
	}
	r := Rule{Name: "fields", Action: drop.String()}
	for f := range numFields {
		if droppable(f) && !slices.Contains(o.Fields, fields[f].Name) {
			r.Fields = append(r.Fields, fields[f].Name)
		}
	}
	if len(r.Fields) == 0 {
		return nil
	}
	return []Rule{r}
}

func droppable(f field) bool { return !f.fixed() && slices.Contains(actionsFor[fields[f].Class], drop) }

// Validate checks the names of fields; the rest is checked as part of a
// [Config].
func (o Override) Validate() error {
	for _, name := range o.Fields {
		if _, ok := fieldNamed(name); !ok {
			return fmt.Errorf("fields: no field %q; docs/events.md lists them", name)
		}
	}
	return nil
}

const (
	defaultCacheEntries = 65536
	maxCacheEntries     = 1 << 24
	maxRules            = 48 // with those of a profile, a bit each in a word
)

// Validate checks everything but the content of the key file.
func (c Config) Validate() error {
	var errs []error
	if _, ok := profiles[c.profile()]; !ok {
		errs = append(errs, fmt.Errorf("profile %q: want one of %s", c.Profile, profileList()))
	}
	if c.CacheEntries < 0 || c.CacheEntries > maxCacheEntries {
		errs = append(errs, fmt.Errorf("cache_entries %d: want 0 (for %d) to %d", c.CacheEntries, defaultCacheEntries, maxCacheEntries))
	}
	if c.KeyFile != "" && c.KeyCredential != "" {
		errs = append(errs, errors.New("key_file and key_credential: want one of them"))
	}
	if strings.Contains(c.KeyCredential, "/") || c.KeyCredential == ".." {
		errs = append(errs, fmt.Errorf("key_credential %q: want a credential's name, not a path", c.KeyCredential))
	}
	if len(c.Rules) > maxRules {
		errs = append(errs, fmt.Errorf("rules: %d are more than %d", len(c.Rules), maxRules))
	}
	for i, r := range c.Rules {
		if err := r.validate(); err != nil {
			errs = append(errs, fmt.Errorf("rules[%d]: %w", i, err))
		}
	}
	if len(errs) == 0 && c.typed() {
		errs = append(errs, c.checkTyped())
	}
	return errors.Join(errs...)
}

func (r Rule) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	do, err := parseAction(r.Action)
	if err != nil {
		bad("%w", err)
	}
	if len(r.Fields)+len(r.Classes) == 0 {
		bad("fields or classes: want some of them, or the rule matches nothing")
	}
	for _, name := range r.Fields {
		f, ok := fieldNamed(name)
		switch {
		case !ok:
			bad("fields: no field %q; docs/events.md lists them", name)
		case f.fixed():
			bad("fields: %s can't be redacted: records need it", name)
		case err == nil && !slices.Contains(actionsFor[fields[f].Class], do):
			bad("fields: %s can't have action %s; want one of %v", name, do, actionsFor[fields[f].Class])
		}
	}
	for _, name := range r.Classes {
		class, ok := classNamed(name)
		switch {
		case !ok:
			bad("classes: no class %q; docs/events.md lists them", name)
		case err == nil && !slices.Contains(actionsFor[class], do):
			bad("classes: %s can't have action %s; want one of %v", name, do, actionsFor[class])
		}
	}
	for _, name := range r.Kinds {
		if !slices.ContainsFunc(bpf.Kinds(), func(k bpf.Kind) bool { return k.String() == name }) {
			bad("kinds: no kind %q; want some of %v", name, bpf.Kinds())
		}
	}
	for _, p := range r.Groups {
		switch {
		case !p.IsValid() || !p.Addr().IsMulticast():
			bad("groups: %v holds no group", p)
		case p.Addr().Is4In6():
			bad("groups: %v: want an IPv4 prefix", p)
		}
	}
	for _, glob := range r.Interfaces {
		if _, err := path.Match(glob, ""); err != nil {
			bad("interfaces: %q is no name or glob: %v", glob, err)
		}
	}
	if r.conditional() && slices.Contains(r.classes(), Node) {
		bad("node is the same in every record: a rule for it has no kinds, groups or interfaces")
	}
	if err == nil {
		errs = append(errs, r.checkParameters(do)...)
	}
	return errors.Join(errs...)
}

func (r Rule) checkParameters(do action) (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if r.Mask != (Mask{}) && do != mask || r.Bucket != (Bucket{}) && do != bucket || r.With != "" && do != replace {
		bad("mask, bucket and with belong to the actions mask, bucket and replace; this is %s", do)
	}
	for _, m := range []struct {
		name string
		bits *int
		max  int
	}{{"v4", r.Mask.V4, 32}, {"v6", r.Mask.V6, 128}, {"mac", r.Mask.MAC, 48}} {
		if m.bits != nil && (*m.bits < 0 || *m.bits > m.max) {
			bad("mask.%s: %d: want 0 to %d bits", m.name, *m.bits, m.max)
		}
	}
	for _, class := range r.classes() {
		switch {
		case do == bucket && class == Counter && r.Bucket.Count == 0:
			bad("bucket.count: want a number above 0 for class counter")
		case do == bucket && class == Time && r.Bucket.Time <= 0:
			bad("bucket.time: want a duration above 0 for class time")
		case do == replace:
			if err := checkReplacement(class, r.With); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errs
}

// classes returns the classes that the rule can touch.
func (r Rule) classes() (list []Class) {
	for _, name := range r.Classes {
		if c, ok := classNamed(name); ok {
			list = append(list, c)
		}
	}
	for _, name := range r.Fields {
		if f, ok := fieldNamed(name); ok {
			list = append(list, fields[f].Class)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (r Rule) conditional() bool { return len(r.Kinds)+len(r.Groups)+len(r.Interfaces) > 0 }

func (c Config) profile() Profile {
	if c.Profile == "" {
		return DefaultProfile
	}
	return c.Profile
}

func (c Config) typed() bool { return c.Typed || c.Profile == SIEMProfile }

func (c Config) cacheEntries() int {
	if c.CacheEntries == 0 {
		return defaultCacheEntries
	}
	return c.CacheEntries
}
