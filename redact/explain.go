package redact

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fanlight-io/fanlight/bpf"
)

// Explanation is what a policy does with one field of one event.
type Explanation struct {
	Field  string `json:"field"`
	Class  string `json:"class"`
	Action string `json:"action"`
	// Rule names who decides: a rule, or the profile.
	Rule string `json:"rule"`
	// Value is what comes out; empty if nothing does.
	Value string `json:"value,omitempty"`
}

// Explain tells what becomes of each field that has a value. It returns an
// error if the event would be dropped. It counts nothing.
func (p *Policy) Explain(e *bpf.Event) ([]Explanation, error) {
	if why := check(e); why != noFailure {
		return nil, fmt.Errorf("the event would be dropped: %s", failureNames[why])
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ready() {
		return nil, fmt.Errorf("the event would be dropped: %s", failureNames[missingKey])
	}
	all, err := newEngine(Config{Profile: RevealProfile, CacheEntries: 1}, p.from, p.engine.ring)
	if err != nil {
		return nil, err
	}
	var raw, shown Record
	all.fill(&raw, e)
	p.engine.fill(&shown, e)

	match := p.engine.match(e.Group, e.Interface)
	var list []Explanation
	for f := range numFields {
		if _, ok := raw.value(f); !ok {
			continue
		}
		rule, t := p.engine.ruleName(e.Kind, f, match), p.engine.treatment(e.Kind, f, match)
		do := t.action
		if g := p.engine.treatment(e.Kind, fieldGroup, match); f == fieldGroupName && g.action != keep {
			rule, do = p.engine.ruleName(e.Kind, fieldGroup, match), drop // it goes with the group
		}
		if rule == "" {
			rule = "profile " + string(p.cfg.profile())
		}
		list = append(list, Explanation{fields[f].Name, fields[f].Class.String(), do.String(), rule, shown.show(f)})
	}
	return list, nil
}

// fill makes the record of an event outside of any batch.
func (e *engine) fill(r *Record, ev *bpf.Event) {
	var uncounted [numFields][numActions]uint64
	w := writer{r: r, counts: &uncounted, decision: e.decide(ev.Kind, e.match(ev.Group, ev.Interface))}
	w.fill(ev, e.origin)
}

// show returns a field's value as people read it.
func (r *Record) show(f field) string {
	v, ok := r.value(f)
	switch {
	case !ok:
		return ""
	case fields[f].Type == TypeNumber:
		return strconv.FormatUint(v.Number(), 10)
	case fields[f].Type == TypeTime:
		return string(appendTime(nil, int64(v.number)))
	case fields[f].Type == TypeList:
		return strings.Join(slices.Collect(v.List()), ", ")
	}
	return v.Text()
}
