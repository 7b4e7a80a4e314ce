package exporters

import (
	"slices"

	"github.com/fanlight-io/fanlight/redact"
)

const leefStart = "LEEF:2.0|" + product + "|"

// leefRole are the keys of whoever did it.
var leefRole = []string{"src", "srcMAC"}

var leefPairs = pairFormat{
	separator: '^', // rsyslog, by its defaults, writes tabs as #011
	// The format knows no escapes: the delimiter and ends of lines must not
	// stand in values. Backslashes are doubled, so that the text can be had back.
	escaper: newEscaper(`\`, "^"),
	naming: naming{
		column: func(n redact.Names) string { return n.LEEF },
		style: func(f *redact.Field, name string) style {
			switch name {
			case "devTime":
				return asMilliTime
			case "src", "dst":
				return asIP
			case "srcMAC":
				return asMAC
			}
			return styleOf(f.Type)
		},
		admits: func(s subject, id redact.FieldID, name string) bool {
			return !slices.Contains(leefRole, name) || slices.Contains(s.actor(), id)
		},
	},
}

// leef writes lines of QRadar's Log Event Extended Format, version 2.0, with
// carets between attributes.
type leef struct{ plans plans[pairPlan] }

func newLEEF() encoder { return &leef{plans[pairPlan]{build: leefPlan}} }

func (l *leef) append(dst []byte, r *redact.Record) []byte {
	return leefPairs.append(dst, l.plans.of(r), r)
}

func leefPlan(s subject) *pairPlan {
	p := &pairPlan{head: []byte(leefStart + product)}
	for _, header := range []string{version, s.event(), "^"} {
		p.head = headerEscaper.append(append(p.head, '|'), header)
	}
	p.head = append(p.head, '|')
	p.head = leefPairs.constant(p.head, "sev", s.meaning().level.number())
	p.head = leefPairs.constant(p.head, "devTimeFormat", "yyyy-MM-dd'T'HH:mm:ss.SSSX")
	leefPairs.cells(p, s, func(cell) string { return "" })
	return p
}
