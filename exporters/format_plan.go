package exporters

import (
	"slices"
	"strings"

	"github.com/fanlight-io/fanlight/redact"
)

// cell is one name of one field: it is written if the value fits the style and
// none of the styles of the alternatives before it.
type cell struct {
	id     redact.FieldID
	name   string
	style  style
	unless []style
}

// fits reports whether the record has a value for the cell.
func (c *cell) fits(r *redact.Record) bool {
	if !r.Has(c.id) {
		return false
	}
	if !c.style.conditional() && c.unless == nil {
		return true
	}
	text := r.Text(c.id)
	for _, s := range c.unless {
		if s.admits(text) {
			return false
		}
	}
	return c.style.admits(text)
}

// naming is what the planner must know of a format.
type naming struct {
	column func(redact.Names) string
	// style says how values of the field are written under the name.
	style func(f *redact.Field, name string) style
	// admits reports whether the name may stand for the field in lines of the
	// subject. It may be nil.
	admits func(s subject, id redact.FieldID, name string) bool
}

// cells resolves the table's column for one subject.
func (n naming) cells(s subject) []cell {
	var all []cell
	for i, f := range redact.Table() {
		if !f.UsedBy(s.kind) {
			continue
		}
		id := redact.FieldID(i)
		for _, names := range redact.Alternatives(n.column(f.Names)) {
			var before []style
			for _, name := range names {
				if n.admits != nil && !n.admits(s, id, name) {
					continue
				}
				style := n.style(&f, name)
				all = append(all, cell{id: id, name: s.sided(name), style: style, unless: before})
				if !style.conditional() {
					break // takes whatever is left
				}
				before = append(slices.Clone(before), style)
			}
		}
	}
	return all
}

// sided turns the name of an ingress interface into that of an egress one where
// packets leave.
func (s subject) sided(name string) string {
	if !s.isEgress() {
		return name
	}
	return strings.NewReplacer("ingress", "egress", "Inbound", "Outbound").Replace(name)
}

// plans caches one plan per subject. The number of subjects is that of the
// vocabulary; another origin empties the cache.
type plans[P any] struct {
	build        func(subject) *P
	node, bootID string
	ready        map[[2]string]*P
}

func (p *plans[P]) of(r *redact.Record) *P {
	node, boot := r.Text(fieldNode), r.Text(fieldBootID)
	if p.ready == nil || node != p.node || boot != p.bootID {
		p.node, p.bootID, p.ready = node, boot, map[[2]string]*P{}
	}
	key := [2]string{r.Kind(), r.Text(fieldAction)}
	plan, ok := p.ready[key]
	if !ok {
		plan = p.build(subject{kind: key[0], action: key[1], node: node, bootID: boot})
		p.ready[key] = plan
	}
	return plan
}
