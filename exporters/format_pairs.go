package exporters

import (
	"runtime/debug"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fanlight-io/fanlight/redact"
)

// pairPlan is a line of key=value pairs. What is the same in all records of a
// subject stands in front, rendered once.
type pairPlan struct {
	head  []byte
	pairs []pair
}

type pair struct {
	cell
	key string // with the separator before and the equals sign behind
}

// pairFormat is what formats of key=value pairs have in common.
type pairFormat struct {
	naming
	separator byte
	escaper   *escaper
}

// cells puts what the subject tells into the head and the rest into pairs.
// Label returns a constant pair that explains the key, or "".
func (f pairFormat) cells(p *pairPlan, s subject, label func(cell) string) {
	known := map[redact.FieldID]string{fieldNode: s.node, fieldBootID: s.bootID, fieldKind: s.kind, fieldAction: s.action}
	for _, c := range f.naming.cells(s) {
		text, ok := known[c.id]
		if !ok {
			p.pairs = append(p.pairs, pair{cell: c, key: string(f.separator) + label(c) + c.name + "="})
		} else if text != "" {
			p.head = f.constant(p.head, c.name, text)
		}
	}
}

// constant appends a pair, and the separator unless it is the first.
func (f pairFormat) constant(dst []byte, key, text string) []byte {
	if last := dst[len(dst)-1]; last != '|' {
		dst = append(dst, f.separator)
	}
	return f.escaper.append(append(append(dst, key...), '='), text)
}

func (f pairFormat) append(dst []byte, p *pairPlan, r *redact.Record) []byte {
	dst = append(dst, p.head...)
	for i := range p.pairs {
		if c := &p.pairs[i]; c.fits(r) {
			dst = c.appendPlain(append(dst, c.key...), r, f.escaper)
		}
	}
	return dst
}

func (c *cell) appendPlain(dst []byte, r *redact.Record, e *escaper) []byte {
	switch c.style {
	case asMillis:
		return strconv.AppendUint(dst, r.Number(c.id)/1e6, 10)
	case asMilliTime:
		dst = r.AppendText(dst, c.id)
		return append(dst[:len(dst)-len("456789Z")], 'Z')
	case asNumber, asQuoted:
		return r.AppendText(dst, c.id)
	case asList:
		for i, s := range r.Texts() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = e.append(dst, s)
		}
		return dst
	}
	return e.append(dst, r.Text(c.id))
}

// escaper appends valid UTF-8 without control characters: a line stays one line
// whatever a name holds.
type escaper struct {
	special string    // bytes that get a backslash before them
	banned  string    // bytes that must not occur at all, and become \xNN
	plain   [256]bool // bytes that stand for themselves
}

func newEscaper(special, banned string) *escaper {
	e := &escaper{special: special, banned: banned}
	for c := byte(0x20); c < 0x7f; c++ {
		e.plain[c] = strings.IndexByte(special+banned, c) < 0
	}
	return e
}

func (e *escaper) append(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		start := i
		for i < len(s) && e.plain[s[i]] {
			i++
		}
		dst = append(dst, s[start:i]...)
		if i == len(s) {
			break
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		dst = e.appendRune(dst, r)
		i += size
	}
	return dst
}

func (e *escaper) appendRune(dst []byte, r rune) []byte {
	switch {
	case r == '\n':
		return append(dst, `\n`...)
	case r == '\r':
		return append(dst, `\r`...)
	case r == '\t':
		return append(dst, `\t`...)
	case r < 0x7f && strings.IndexByte(e.special, byte(r)) >= 0:
		return append(dst, '\\', byte(r))
	case r < 0x7f && strings.IndexByte(e.banned, byte(r)) >= 0:
		const digits = "0123456789abcdef"
		return append(dst, '\\', 'x', digits[r>>4], digits[r&15])
	case r < 0xa0, r == '\u2028', r == '\u2029': // controls, and what ends a line for some readers
		r = utf8.RuneError
	}
	return utf8.AppendRune(dst, r)
}

// headerEscaper is for the part with bars between.
var headerEscaper = newEscaper(`\|`, "")

// version is that of the program, for headers that name it.
var version = func() string {
	build, ok := debug.ReadBuildInfo()
	if !ok || build.Main.Version == "" || build.Main.Version == "(devel)" {
		return "devel"
	}
	return build.Main.Version
}()
