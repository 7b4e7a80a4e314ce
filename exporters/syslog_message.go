package exporters

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fanlight-io/fanlight/redact"
)

// syslogSeverity is the severity of RFC 5424, section 6.2.1.
var syslogSeverity = [...]int{info: 6, low: 5, medium: 4}

// facilities are those of RFC 5424, section 6.2.1, in order.
var facilities = []string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

// syslogMessage writes records as messages of RFC 5424.
type syslogMessage struct {
	plans plans[syslogHeader]
	enc   encoder // of MSG; nil puts the fields into structured data
	sdID  string
	limit int // bytes
	cut   func()
}

// syslogHeader is what stands before and behind the time.
type syslogHeader struct{ before, behind string }

func newSyslogMessage(c *SyslogConfig, cut func()) *syslogMessage {
	facility := slices.Index(facilities, c.Facility)
	ending := " " + headerWord(c.AppName, 48) + " " + strconv.Itoa(os.Getpid()) + " "
	m := &syslogMessage{limit: c.MaxBytes, cut: cut, sdID: product + "@" + strconv.Itoa(c.EnterpriseID)}
	m.plans.build = func(s subject) *syslogHeader {
		priority := 8*facility + syslogSeverity[s.meaning().level]
		return &syslogHeader{
			before: "<" + strconv.Itoa(priority) + ">1 ",
			behind: " " + headerWord(s.node, 255) + ending + headerWord(s.event(), 32) + " ",
		}
	}
	if !c.StructuredData {
		m.enc = c.Format.encoder()
	}
	return m
}

// headerWord makes a field of the header: printable ASCII without spaces, or a
// dash if nothing is left (RFC 5424, section 6).
func headerWord(s string, limit int) string {
	word := strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	if word = word[:min(len(word), limit)]; word == "" || word == "." {
		return "-"
	}
	return word
}

// append writes one message of at most limit bytes; what it cuts off, it
// counts.
func (m *syslogMessage) append(dst []byte, r *redact.Record) []byte {
	start := len(dst)
	h := m.plans.of(r)
	dst = append(m.appendTime(append(dst, h.before...), r), h.behind...)
	if m.enc == nil {
		return m.appendStructured(dst, start, r)
	}
	dst = m.enc.append(append(dst, "- "...), r)
	if len(dst)-start <= m.limit {
		return dst
	}
	m.cut()
	return cutRunes(dst, start+m.limit)
}

// appendTime writes microseconds, the finest that RFC 5424 has.
func (m *syslogMessage) appendTime(dst []byte, r *redact.Record) []byte {
	if !r.Has(fieldTime) {
		return append(dst, '-')
	}
	dst = r.AppendText(dst, fieldTime)
	return append(dst[:len(dst)-len("789Z")], 'Z')
}

// sdEscaper is for values of parameters (RFC 5424, section 6.3.3).
var sdEscaper = newEscaper(`"\]`, "")

// appendStructured writes each field as a parameter as long as there is room,
// and the event's title as MSG.
func (m *syslogMessage) appendStructured(dst []byte, start int, r *redact.Record) []byte {
	title := (subject{kind: r.Kind(), action: r.Text(fieldAction)}).meaning().title
	room := start + m.limit - len("] ") - len(title)
	dst = append(append(dst, '['), m.sdID...)
	whole := true
	for i := range sdNames {
		id := redact.FieldID(i)
		if !r.Has(id) {
			continue
		}
		before := len(dst)
		dst = appendParameter(append(dst, sdNames[i]...), id, r)
		if len(dst) > room {
			dst, whole = dst[:before], false
		}
	}
	if !whole {
		m.cut()
	}
	return append(append(dst, "] "...), title...)
}

// sdNames holds ` name="` per field.
var sdNames = func() (all []string) {
	for _, f := range redact.Table() {
		all = append(all, " "+f.Name+`="`)
	}
	return all
}()

// sdIsText tells the fields that may need escaping.
var sdIsText = func() (all []bool) {
	for _, f := range redact.Table() {
		all = append(all, styleOf(f.Type) == asText)
	}
	return all
}()

func appendParameter(dst []byte, id redact.FieldID, r *redact.Record) []byte {
	if sdIsText[id] {
		return append(sdEscaper.append(dst, r.Text(id)), '"')
	}
	return append(r.AppendText(dst, id), '"')
}

// cutRunes cuts off everything behind n bytes, and a character that would be
// torn there.
func cutRunes(b []byte, n int) []byte {
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return b[:n]
}
