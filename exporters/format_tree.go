package exporters

import (
	"strconv"
	"strings"

	"github.com/fanlight-io/fanlight/redact"
)

// object is one JSON object of a plan. What is the same in all records of a
// subject stands in fixed, rendered once.
type object struct {
	name    string
	open    string // `"name":{`
	fixed   []byte // members with a comma behind each
	members []member
	inner   []*object
}

// member is what differs from record to record.
type member struct {
	cell
	key  string // `"name":`
	when func(*redact.Record) bool
}

// treeBuilder makes the object of a plan from dotted names.
type treeBuilder struct {
	subject subject
	root    object
}

// constant adds a member whose value is JSON already.
func (b *treeBuilder) constant(name, json string) {
	o, last := b.parent(name)
	o.fixed = append(redact.AppendJSONString(o.fixed, last), ':')
	o.fixed = append(append(o.fixed, json...), ',')
}

func (b *treeBuilder) text(name, text string) {
	b.constant(name, string(redact.AppendJSONString(nil, text)))
}

// cell adds a member that a record may have.
func (b *treeBuilder) cell(c cell) {
	switch c.id { // what the subject tells already
	case fieldNode:
		b.textIfAny(c.name, b.subject.node)
	case fieldBootID:
		b.textIfAny(c.name, b.subject.bootID)
	case fieldKind:
		b.textIfAny(c.name, b.subject.kind)
	case fieldAction:
		b.textIfAny(c.name, b.subject.action)
	default:
		b.when(c, nil)
	}
}

func (b *treeBuilder) textIfAny(name, text string) {
	if text != "" {
		b.text(name, text)
	}
}

// when adds a member under a further condition.
func (b *treeBuilder) when(c cell, when func(*redact.Record) bool) {
	o, last := b.parent(c.name)
	o.members = append(o.members, member{cell: c, key: string(append(redact.AppendJSONString(nil, last), ':')), when: when})
}

func (b *treeBuilder) parent(name string) (o *object, last string) {
	o = &b.root
	parts := strings.Split(name, ".")
	for _, part := range parts[:len(parts)-1] {
		o = o.child(part)
	}
	return o, parts[len(parts)-1]
}

func (o *object) child(name string) *object {
	for _, c := range o.inner {
		if c.name == name {
			return c
		}
	}
	c := &object{name: name, open: string(append(redact.AppendJSONString(nil, name), ":{"...))}
	o.inner = append(o.inner, c)
	return c
}

// build folds what is all constant into its parent and returns the root.
func (b *treeBuilder) build() *object {
	b.root.open = "{"
	b.root.fold()
	return &b.root
}

func (o *object) fold() {
	var rest []*object
	for _, c := range o.inner {
		c.fold()
		if len(c.members)+len(c.inner) > 0 {
			rest = append(rest, c)
			continue
		}
		o.fixed = append(append(o.fixed, c.open...), c.fixed...)
		o.fixed[len(o.fixed)-1] = '}'
		o.fixed = append(o.fixed, ',')
	}
	o.inner = rest
}

// append writes the object with a comma behind it, or nothing if it is empty.
func (o *object) append(dst []byte, r *redact.Record) []byte {
	start := len(dst)
	dst = append(dst, o.open...)
	empty := len(dst)
	dst = append(dst, o.fixed...)
	for i := range o.members {
		m := &o.members[i]
		if m.when == nil && m.fits(r) || m.when != nil && m.when(r) {
			dst = append(m.appendJSON(append(dst, m.key...), r), ',')
		}
	}
	for _, c := range o.inner {
		dst = c.append(dst, r)
	}
	if len(dst) == empty {
		return dst[:start]
	}
	dst[len(dst)-1] = '}'
	return append(dst, ',')
}

// appendLine writes the object as a whole line.
func (o *object) appendLine(dst []byte, r *redact.Record) []byte {
	dst = o.append(dst, r)
	return dst[:len(dst)-1]
}

func (c *cell) appendJSON(dst []byte, r *redact.Record) []byte {
	switch c.style {
	case asNumber:
		return strconv.AppendInt(dst, signed(r.Number(c.id)), 10)
	case asMillis:
		return strconv.AppendUint(dst, r.Number(c.id)/1e6, 10)
	case asQuoted:
		return append(r.AppendText(append(dst, '"'), c.id), '"')
	case asDashMAC:
		return append(appendDashMAC(append(dst, '"'), r.Text(c.id)), '"')
	case asList:
		return appendJSONList(dst, r.Texts())
	case asVersion:
		if isColon(r.Text(c.id)) {
			return append(dst, '6')
		}
		return append(dst, '4')
	case asNetwork:
		if isColon(r.Text(c.id)) {
			return append(dst, `"ipv6"`...)
		}
		return append(dst, `"ipv4"`...)
	case asUnknown:
		return append(dst, `"unknown"`...)
	}
	return redact.AppendJSONString(dst, r.Text(c.id))
}

func appendJSONList(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = redact.AppendJSONString(dst, s)
	}
	return append(dst, ']')
}
