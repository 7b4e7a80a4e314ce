package redact

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fanlight-io/fanlight/bpf"
)

// Label is the raw value of one metric label. It shows nothing; only
// [Metrics.Series] makes text of it, by the class that the family's table
// gives it.
type Label struct {
	kind labelKind
	text string
	addr netip.Addr
	vlan bpf.VLAN
	upto time.Duration
}

type labelKind uint8

const (
	noLabel labelKind = iota
	nameLabel
	addrLabel
	vlanLabel
	boundLabel
)

// Name is the value of a label that holds a name or a word.
func Name(s string) Label { return Label{kind: nameLabel, text: s} }

// Addr is the value of a label that holds an address. An invalid address
// leaves the label out.
func Addr(a netip.Addr) Label { return Label{kind: addrLabel, addr: a} }

// VLAN is the value of a vlan label. Untagged leaves the label out.
func VLAN(v bpf.VLAN) Label { return Label{kind: vlanLabel, vlan: v} }

// Bound is the value of an up_to label: the upper bound of a bucket, in seconds; 0
// means that there is none.
func Bound(upto time.Duration) Label { return Label{kind: boundLabel, upto: upto} }

// bound is safe to show: a number can't carry a text.
func (l Label) bound() string {
	if l.upto <= 0 {
		return "+Inf"
	}
	return strconv.FormatFloat(l.upto.Seconds(), 'g', -1, 64)
}

// Format hides the value, whatever the verb.
func (l Label) Format(s fmt.State, _ rune) { io.WriteString(s, l.String()) }

// LogValue hides the value.
func (l Label) LogValue() slog.Value { return slog.StringValue(l.String()) }

// String hides the value.
func (l Label) String() string { return "redact.Label" }

// GoString hides the value.
func (l Label) GoString() string { return l.String() }

// MarshalJSON hides the value.
func (l Label) MarshalJSON() ([]byte, error) { return []byte(`"redact.Label"`), nil }

// kindOf says which constructor fits a class.
func kindOf(c Class) labelKind {
	switch c {
	case Group, SourceAddress, HostAddress, QuerierAddress:
		return addrLabel
	case Segment:
		return vlanLabel
	case Public, Domain, Interface, GroupName, Build, Node:
		return nameLabel
	}
	return noLabel
}

// fieldOf says which field of events a label of a class is like, for the rules
// that name fields.
func fieldOf(c Class) (field, bool) {
	switch c {
	case Domain:
		return fieldDomain, true
	case Segment:
		return fieldVLAN, true
	case Group:
		return fieldGroup, true
	case GroupName:
		return fieldGroupName, true
	case SourceAddress:
		return fieldSource, true
	case HostAddress:
		return fieldHost, true
	case QuerierAddress:
		return fieldQuerier, true
	case Interface:
		return fieldInterface, true
	case Node:
		return fieldNode, true
	}
	return 0, false
}

// labelTexts redacts the labels of one series, or fails closed: on a value of
// the wrong kind, and on one that is not a plain word where the class wants one.
func (p *Policy) labelTexts(info []LabelInfo, labels []Label) ([]string, failure) {
	if len(labels) != len(info) {
		return nil, badLabels
	}
	var group netip.Addr
	var iface string
	for i, l := range labels {
		switch c := info[i].Class; {
		case l.kind == boundLabel && c == Public:
		case l.kind == noLabel || l.kind != kindOf(c):
			return nil, badLabels
		case c == Group:
			group = l.addr
		case c == Interface:
			iface = l.text
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ready() {
		return nil, missingKey
	}
	match := p.engine.match(group, iface)
	hidden := p.engine.treatment(0, fieldGroup, match).action != keep
	texts := make([]string, len(labels))
	for i, l := range labels {
		var ok bool
		if texts[i], ok = p.labelText(info[i].Class, l, match); !ok {
			return nil, badLabels
		}
		if info[i].Class == GroupName && hidden {
			texts[i] = "" // a name gives away what it names
		}
	}
	return texts, noFailure
}

func (p *Policy) labelText(c Class, l Label, match uint64) (text string, ok bool) {
	f, isField := fieldOf(c)
	if l.kind == boundLabel {
		return l.bound(), true
	}
	if !isField { // words of the program itself
		ok = c != Public || isIdentifier(l.text)
		if profiles[p.cfg.profile()][c] != keep || !ok {
			return "", ok
		}
		return l.text, true
	}
	t := p.engine.treatment(0, f, match)
	switch l.kind {
	case addrLabel:
		if t.addresses != nil && l.addr.IsValid() {
			text = t.addresses.get(plain(l.addr))
		}
	case vlanLabel:
		if t.action == keep {
			text = l.vlan.String()
		}
	default:
		text, _ = t.name(l.text)
	}
	return text, true
}

// appendSeries writes `name{label="value",…} `. Empty labels are left out,
// which means the same to Prometheus.
func appendSeries(dst []byte, info *FamilyInfo, values []string) []byte {
	dst = append(dst, info.Name...)
	open := byte('{')
	for i, v := range values {
		if v == "" {
			continue
		}
		dst = append(dst, open)
		dst = append(dst, info.Labels[i].Name...)
		dst = append(dst, '=', '"')
		dst = appendLabelValue(dst, v)
		dst = append(dst, '"')
		open = ','
	}
	if open == ',' {
		dst = append(dst, '}')
	}
	return append(dst, ' ')
}

// appendLabelValue escapes what the text format 0.0.4 asks to escape.
func appendLabelValue(dst []byte, v string) []byte {
	if !utf8.ValidString(v) {
		v = strings.ToValidUTF8(v, "\uFFFD")
	}
	for i := range len(v) {
		switch v[i] {
		case '\\':
			dst = append(dst, '\\', '\\')
		case '"':
			dst = append(dst, '\\', '"')
		case '\n':
			dst = append(dst, '\\', 'n')
		default:
			dst = append(dst, v[i])
		}
	}
	return dst
}

// appendHead writes a family's HELP and TYPE lines. Help texts of the table
// need no escaping; a test checks it.
func appendHead(dst []byte, info *FamilyInfo) []byte {
	dst = append(dst, "# HELP "...)
	dst = append(dst, info.Name...)
	dst = append(dst, ' ')
	dst = append(dst, info.Help...)
	dst = append(dst, "\n# TYPE "...)
	dst = append(dst, info.Name...)
	dst = append(dst, ' ')
	dst = append(dst, info.Type.String()...)
	return append(dst, '\n')
}

func appendFloat(dst []byte, f float64) []byte { return strconv.AppendFloat(dst, f, 'g', -1, 64) }
