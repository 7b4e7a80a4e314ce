package exporters

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
)

// cutUnescaped splits at bytes that no backslash stands before.
func cutUnescaped(s string, at byte, n int) (parts []string) {
	start := 0
	for i := 0; i < len(s) && len(parts) < n-1; i++ {
		switch s[i] {
		case '\\':
			i++
		case at:
			parts, start = append(parts, s[start:i]), i+1
		}
	}
	return append(parts, s[start:])
}

var unescaper = strings.NewReplacer(`\\`, `\`, `\=`, `=`, `\|`, `|`, `\n`, "\n", `\r`, "\r", `\t`, "\t", `\x5e`, "^")

// parseCEF reads a line as a receiver does: a key is the word before an equals
// sign that is not escaped.
func parseCEF(t *testing.T, line string) (header []string, ext map[string]string) {
	t.Helper()
	header = cutUnescaped(line, '|', 8)
	if len(header) != 8 || header[0] != "CEF:0" {
		t.Fatalf("header: %q in %s", header, line)
	}
	ext = map[string]string{}
	parts := cutUnescaped(header[7], '=', 1<<20)
	for i, part := range parts[1:] {
		key := parts[i]
		if i > 0 {
			key = key[strings.LastIndexByte(key, ' ')+1:]
		}
		if i < len(parts)-2 {
			part = part[:strings.LastIndexByte(part, ' ')]
		}
		if _, ok := ext[key]; ok || !regexp.MustCompile(`^[A-Za-z0-9]+$`).MatchString(key) {
			t.Errorf("key %q is there twice or no key: %s", key, line)
		}
		ext[key] = unescaper.Replace(part)
	}
	return header[:7], ext
}

func parseLEEF(t *testing.T, line string) (header []string, attrs map[string]string) {
	t.Helper()
	header = cutUnescaped(line, '|', 7)
	if len(header) != 7 || header[0] != "LEEF:2.0" || header[5] != "^" {
		t.Fatalf("header: %q in %s", header, line)
	}
	attrs = map[string]string{}
	for pair := range strings.SplitSeq(header[6], "^") {
		key, value, ok := strings.Cut(pair, "=")
		if _, double := attrs[key]; !ok || double || !regexp.MustCompile(`^[A-Za-z0-9]+$`).MatchString(key) {
			t.Errorf("attribute %q is there twice or none: %s", pair, line)
		}
		attrs[key] = unescaper.Replace(value)
	}
	return header[:6], attrs
}

// safeName is what is left of the hostile name: the rest comes back whole.
const safeName = "p0\n|CEF:0| src=1.2.3.4\uFFFD\t\"\\\r\uFFFD^x act=x"

func TestHostileNamesStayValues(t *testing.T) {
	e := redacttest.Replication(7)
	e.Interface = redacttest.HostileName
	record := redacttest.Policy(t, redact.DefaultProfile).Apply(nil, append(redacttest.Events()[:0], e))[0]

	_, ext := parseCEF(t, string(newCEF().append(nil, &record)))
	if d := cmp.Diff([]string{safeName, "", "periodic"}, []string{ext["deviceInboundInterface"], ext["src"], ext["act"]}); d != "" {
		t.Errorf("CEF (-want +got):\n%s", d)
	}
	_, attrs := parseLEEF(t, string(newLEEF().append(nil, &record)))
	if d := cmp.Diff([]string{safeName, "", "periodic"}, []string{attrs["interface"], attrs["src"], attrs["cat"]}); d != "" {
		t.Errorf("LEEF (-want +got):\n%s", d)
	}
}

func TestCEFAndLEEFAreValid(t *testing.T) {
	records := testRecords(t)
	cef, leef := newCEF(), newLEEF()
	mac := regexp.MustCompile(`^([0-9a-f]{2}:){5}[0-9a-f]{2}$`)
	for i := range records {
		r := &records[i]
		header, ext := parseCEF(t, string(cef.append(nil, r)))
		attrsHeader, attrs := parseLEEF(t, string(leef.append(nil, r)))
		event := r.Kind() + "." + r.Text(fieldAction)
		if header[4] != event || attrsHeader[4] != event {
			t.Errorf("event: want %s, got %s and %s", event, header[4], attrsHeader[4])
		}
		if n, err := strconv.Atoi(header[6]); err != nil || n < 0 || n > 10 || attrs["sev"] != header[6] {
			t.Errorf("severity: %s and %s", header[6], attrs["sev"])
		}
		for key, is := range map[string]func(netip.Addr) bool{"src": netip.Addr.Is4, "dst": netip.Addr.Is4, "c6a2": netip.Addr.Is6, "c6a3": netip.Addr.Is6} {
			if text, ok := ext[key]; ok {
				if a, err := netip.ParseAddr(text); err != nil || !is(a) {
					t.Errorf("CEF %s: %s", key, text)
				}
			}
			if (ext[key] != "") != (ext[key+"Label"] != "") && strings.HasPrefix(key, "c6") {
				t.Errorf("CEF %s without label: %v", key, ext)
			}
		}
		for _, key := range []string{"src", "dst"} {
			if text, ok := attrs[key]; ok && !isIP(text) {
				t.Errorf("LEEF %s: %s", key, text)
			}
		}
		for _, text := range []string{ext["smac"], attrs["srcMAC"]} {
			if text != "" && !mac.MatchString(text) {
				t.Errorf("Ethernet address: %s", text)
			}
		}
		at := time.Unix(0, int64(r.Number(fieldTime))).UTC()
		if want := strconv.FormatInt(at.UnixMilli(), 10); ext["rt"] != want {
			t.Errorf("rt: want %s, got %s", want, ext["rt"])
		}
		if want := at.Format("2006-01-02T15:04:05") + at.Truncate(time.Millisecond).Format(".000") + "Z"; attrs["devTime"] != want {
			t.Errorf("devTime: want %s, got %s", want, attrs["devTime"])
		}
	}
}

// Whatever a name holds, a receiver gets it back, and no other key with it.
func FuzzNamesComeBack(f *testing.F) {
	for _, s := range []string{redacttest.HostileName, "", "a b=c", `\`, "^", "\\x5e", " x= "} {
		f.Add(s)
	}
	policy := redacttest.Policy(f, redact.DefaultProfile)
	f.Fuzz(func(t *testing.T, name string) {
		e := redacttest.Replication(7)
		e.Interface = name
		record := policy.Apply(nil, append(redacttest.Events()[:0], e))[0]
		_, attrs := parseLEEF(t, string(newLEEF().append(nil, &record)))
		_, ext := parseCEF(t, string(newCEF().append(nil, &record)))
		want := strings.Map(func(r rune) rune {
			if r < 0x20 && !strings.ContainsRune("\n\r\t", r) || 0x7f <= r && r < 0xa0 || r == '\u2028' || r == '\u2029' {
				return '\uFFFD'
			}
			return r
		}, string([]rune(name)))
		if attrs["interface"] != want || ext["deviceInboundInterface"] != want {
			t.Errorf("want %q, got %q by LEEF and %q by CEF", want, attrs["interface"], ext["deviceInboundInterface"])
		}
	})
}

// Each kind and action has a title and a severity of its own choice.
func TestEveryEventHasAMeaning(t *testing.T) {
	n := 0
	for _, r := range redacttest.Records(t) {
		event := r.Kind() + "." + r.Text(fieldAction)
		if _, ok := meanings[event]; !ok {
			t.Errorf("%s has no meaning", event)
		}
		s := subject{kind: r.Kind(), action: r.Text(fieldAction)}
		if _, ok := ecsEvents[event]; !ok && s.kind != "loss" {
			t.Errorf("%s has no category in ECS", event)
		}
		if _, ok := ocsfClasses[event]; !ok && s.kind != "loss" {
			t.Errorf("%s has no class in OCSF", event)
		}
		n++
	}
	if n != len(meanings) {
		t.Errorf("meanings: want %d, got %d", n, len(meanings))
	}
}

func BenchmarkFormats(b *testing.B) {
	for _, f := range Formats() {
		b.Run(string(f), func(b *testing.B) {
			enc, batch := f.encoder(), redacttest.Policy(b, redact.DefaultProfile).Apply(nil, redacttest.Busy(0, benchBatch))
			var lines []byte
			b.ReportAllocs()
			for b.Loop() {
				lines = appendLines(lines[:0], enc, batch)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/record")
			b.ReportMetric(float64(len(lines))/float64(len(batch)), "B/record")
		})
	}
}
