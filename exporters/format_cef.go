package exporters

import (
	"slices"

	"github.com/fanlight-io/fanlight/redact"
)

const cefStart = "CEF:0|" + product + "|"

// cefRole are the keys of whoever did it.
var cefRole = []string{"src", "c6a2", "shost", "smac"}

var cefPairs = pairFormat{
	separator: ' ',
	escaper:   newEscaper(`\=`, ""),
	naming: naming{
		column: func(n redact.Names) string { return n.CEF },
		style: func(f *redact.Field, name string) style {
			switch name {
			case "rt":
				return asMillis
			case "src", "dst":
				return asIPv4 // version 0 has other keys for IPv6
			case "c6a2", "c6a3":
				return asIPv6
			case "smac":
				return asMAC
			}
			return styleOf(f.Type)
		},
		admits: func(s subject, id redact.FieldID, name string) bool {
			return !slices.Contains(cefRole, name) || slices.Contains(s.actor(), id)
		},
	},
}

// cef writes lines of ArcSight's Common Event Format, version 0.
type cef struct{ plans plans[pairPlan] }

func newCEF() encoder { return &cef{plans[pairPlan]{build: cefPlan}} }

func (c *cef) append(dst []byte, r *redact.Record) []byte {
	return cefPairs.append(dst, c.plans.of(r), r)
}

func cefPlan(s subject) *pairPlan {
	m := s.meaning()
	p := &pairPlan{head: []byte(cefStart + product)}
	for _, header := range []string{version, s.event(), m.title, m.level.number()} {
		p.head = headerEscaper.append(append(p.head, '|'), header)
	}
	p.head = append(p.head, '|')
	p.head = cefPairs.constant(p.head, "outcome", map[bool]string{false: "success", true: "failure"}[m.failed])
	cefPairs.cells(p, s, func(c cell) string {
		switch c.name {
		case "c6a2":
			return "c6a2Label=Source IPv6 Address "
		case "c6a3":
			return "c6a3Label=Destination IPv6 Address "
		}
		return ""
	})
	return p
}
