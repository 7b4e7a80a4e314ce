package redact

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"path"
	"slices"

	"github.com/fanlight-io/fanlight/bpf"
)

// engine is a policy made ready for one key. Not safe for concurrent use.
type engine struct {
	ring   *Keyring
	origin *origin

	rules []compiledRule // the operator's, then the profile's
	base  [numFields]*treatment
	// plan tells which rules are about a field in events of a kind, a bit per
	// rule; the lowest one that also matches the event decides. Kind 0 stands
	// for labels of metrics.
	plan [numKinds][numFields]uint64

	// decided caches what treatment says about all fields, by the rules that
	// match: few combinations occur, most often the last one again.
	decided [numKinds]*decision

	// Rules whose bit is set here have no condition on the group, or on the
	// interface.
	anyGroup, anyInterface uint64
	groups4, groups6       []groupCondition
	byGroup                *memo[netip.Addr, uint64]
	byInterface            *memo[string, uint64]
}

const numKinds = 16

// decision is what happens to each field of events of a kind that the same
// rules match.
type decision struct {
	match      uint64
	next       *decision // of the same kind
	actions    [numFields]action
	treatments [numFields]*treatment
}

// maxDecisions bounds the combinations of rules that are remembered per kind.
const maxDecisions = 64

// decide returns what treatment says about all fields.
func (e *engine) decide(kind bpf.Kind, match uint64) *decision {
	first := e.decided[kind]
	n := 0
	for d := first; d != nil; d = d.next {
		if d.match == match {
			return d
		}
		n++
	}
	if n >= maxDecisions {
		first = nil
	}
	d := &decision{match: match, next: first}
	for f := range numFields {
		d.treatments[f] = e.treatment(kind, f, match)
		d.actions[f] = d.treatments[f].action
	}
	e.decided[kind] = d
	return d
}

type compiledRule struct {
	name    string
	byField [numFields]*treatment
}

type groupCondition struct {
	prefix netip.Prefix
	rule   uint64
}

// fewPrefixes are faster tried than looked up.
const fewPrefixes = 4

func newEngine(cfg Config, from Origin, ring *Keyring) (*engine, error) {
	e := &engine{ring: ring}
	all := slices.Concat(cfg.Rules, cfg.profile().rules())
	if len(all) > 64 || len(bpf.Kinds()) >= numKinds {
		return nil, errors.New("too many rules or kinds")
	}
	made := [numClasses]*treatment{}
	for f := range numFields {
		class := fields[f].Class
		if made[class] == nil {
			var err error
			made[class], err = newTreatment(profiles[cfg.profile()][class], class, parameters{}, ring.active, cfg.cacheEntries())
			if err != nil {
				return nil, err
			}
		}
		e.base[f] = made[class]
	}
	for i, r := range all {
		if err := e.add(i, r, cfg); err != nil {
			return nil, err
		}
	}
	e.byInterface = newMemo(maxInterfaces, e.matchInterface(all))
	e.byGroup = newMemo(cfg.cacheEntries(), e.matchGroup)
	var err error
	e.origin, err = newOrigin(from, e)
	return e, err
}

// maxInterfaces bounds the names whose rules are remembered.
const maxInterfaces = 4096

// add compiles a rule, which was validated.
func (e *engine) add(i int, r Rule, cfg Config) error {
	do, err := parseAction(r.Action)
	if err != nil {
		return err
	}
	c := compiledRule{name: r.Name}
	switch {
	case i >= len(cfg.Rules):
		c.name = fmt.Sprintf("profile %s: %s", cfg.profile(), r.Name)
	case c.name == "":
		c.name = fmt.Sprintf("rules[%d]", i)
	}
	made := [numClasses]*treatment{}
	for f := range numFields {
		class := fields[f].Class
		if f.fixed() || !slices.Contains(r.Fields, fields[f].Name) && !slices.Contains(r.Classes, class.String()) {
			continue
		}
		if made[class] == nil {
			made[class], err = newTreatment(do, class, parameters{r.Mask, r.Bucket, r.With}, e.ring.active, cfg.cacheEntries())
			if err != nil {
				return err
			}
		}
		c.byField[f] = made[class]
		e.plan[0][f] |= flag(i, len(r.Kinds) == 0)
		for _, k := range bpf.Kinds() {
			e.plan[k][f] |= flag(i, len(r.Kinds) == 0 || slices.Contains(r.Kinds, k.String()))
		}
	}
	e.anyGroup |= flag(i, len(r.Groups) == 0)
	e.anyInterface |= flag(i, len(r.Interfaces) == 0)
	for _, p := range r.Groups {
		conditions := &e.groups6
		if p.Addr().Is4() {
			conditions = &e.groups4
		}
		*conditions = append(*conditions, groupCondition{p.Masked(), flag(i, true)})
	}
	e.rules = append(e.rules, c)
	return nil
}

func flag(i int, set bool) uint64 {
	if !set {
		return 0
	}
	return 1 << i
}

// match returns the rules whose conditions on group and interface hold.
func (e *engine) match(group netip.Addr, iface string) uint64 {
	if len(e.rules) == 0 {
		return 0
	}
	return e.groupRules(group) & e.interfaceRules(iface)
}

func (e *engine) groupRules(group netip.Addr) uint64 {
	switch n := len(e.conditions(group)); {
	case n == 0 || !group.IsValid():
		return e.anyGroup
	case n <= fewPrefixes:
		return e.matchGroup(plain(group))
	}
	return e.byGroup.get(plain(group))
}

// conditions are those on groups of the address's family.
func (e *engine) conditions(group netip.Addr) []groupCondition {
	if group.Is4() || group.Is4In6() {
		return e.groups4
	}
	return e.groups6
}

func (e *engine) interfaceRules(name string) uint64 {
	if e.anyInterface == 1<<len(e.rules)-1 || name == "" {
		return e.anyInterface
	}
	return e.byInterface.get(name)
}

func (e *engine) matchGroup(group netip.Addr) uint64 {
	rules := e.anyGroup
	for _, c := range e.conditions(group) {
		if c.prefix.Contains(group) {
			rules |= c.rule
		}
	}
	return rules
}

func (e *engine) matchInterface(all []Rule) func(string) uint64 {
	return func(name string) uint64 {
		rules := e.anyInterface
		for i, r := range all {
			rules |= flag(i, slices.ContainsFunc(r.Interfaces, func(glob string) bool {
				ok, err := path.Match(glob, name)
				return err == nil && ok
			}))
		}
		return rules
	}
}

// treatment returns what happens to a field of an event of a kind that the
// rules match.
func (e *engine) treatment(kind bpf.Kind, f field, match uint64) *treatment {
	if about := e.plan[kind][f] & match; about != 0 {
		return e.rules[bits.TrailingZeros64(about)].byField[f]
	}
	return e.base[f]
}

// ruleName returns which rule decides, as treatment does, or "".
func (e *engine) ruleName(kind bpf.Kind, f field, match uint64) string {
	if about := e.plan[kind][f] & match; about != 0 {
		return e.rules[bits.TrailingZeros64(about)].name
	}
	return ""
}
