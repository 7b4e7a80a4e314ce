package exporters

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// rfc5424 is the grammar of RFC 5424, section 6.
var rfc5424 = regexp.MustCompile(`^<(\d{1,3})>1 (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) ` +
	`(-|(?:\[[^ =\]"]{1,32}(?: [^ =\]"]{1,32}="(?:[^"\\\]]|\\.)*")*\])+)(?: ((?s).*))?$`)

func parse5424(t *testing.T, message string) []string {
	t.Helper()
	parts := rfc5424.FindStringSubmatch(message)
	if parts == nil {
		t.Fatalf("no message of RFC 5424: %q", message)
	}
	return parts
}

func TestSyslogMessages(t *testing.T) {
	records := testRecords(t)
	for _, structured := range []bool{false, true} {
		for _, limit := range []int{minMessage, 700, 1 << 20} {
			cuts := 0
			c := defaultSyslog()
			c.StructuredData, c.MaxBytes, c.AppName = structured, limit, "fan light\n\xff"
			m := newSyslogMessage(c, func() { cuts++ })
			for i := range records {
				before := cuts
				message := string(m.append(nil, &records[i]))
				parts := parse5424(t, message)
				if len(message) > limit || !strings.HasPrefix(parts[4], "fanlight") {
					t.Errorf("%d bytes: %s", len(message), message)
				}
				priority, err := strconv.Atoi(parts[1])
				if err != nil || priority/8 != 16 || priority%8 != syslogSeverity[(subject{kind: records[i].Kind(), action: records[i].Text(fieldAction)}).meaning().level] {
					t.Errorf("priority %d of %s", priority, parts[6])
				}
				if structured {
					checkParameters(t, &records[i], parts[7], cuts > before)
				} else if want := string(records[i].AppendJSON(nil)); !strings.HasPrefix(want, parts[8]) || (want != parts[8]) != (cuts > before) {
					t.Errorf("want %s\ngot  %s (cut: %t)", want, parts[8], cuts > before)
				}
				if message != strings.ToValidUTF8(message, "") {
					t.Errorf("a character is torn: %q", message)
				}
			}
			if limit == minMessage && cuts == 0 || limit == 1<<20 && cuts > 0 {
				t.Errorf("structured %t, limit %d: %d cut", structured, limit, cuts)
			}
		}
	}
}

var parameter = regexp.MustCompile(` ([a-z_]+)="((?:[^"\\\]]|\\.)*)"`)

func checkParameters(t *testing.T, r *redact.Record, sd string, cut bool) {
	t.Helper()
	want, got := map[string]string{}, map[string]string{}
	for f := range r.Fields() {
		want[f.Name] = string(r.AppendText(nil, redact.FieldNamed(f.Name)))
	}
	for _, p := range parameter.FindAllStringSubmatch(sd, -1) {
		got[p[1]] = p[2]
	}
	if (len(got) < len(want)) != cut {
		t.Errorf("parameters: want %d, got %d (cut: %t)", len(want), len(got), cut)
	}
	for name, text := range got {
		if want := strings.NewReplacer(`"`, `\"`, `\`, `\\`, `]`, `\]`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(want[name]); want != text && !strings.ContainsRune(text, '\uFFFD') {
			t.Errorf("%s: want %q, got %q", name, want, text)
		}
	}
}

func TestSyslogGolden(t *testing.T) {
	records := redacttest.Records(t)
	var page []byte
	for _, structured := range []bool{false, true} {
		c := defaultSyslog()
		c.StructuredData = structured
		m := newSyslogMessage(c, func() { t.Error("cut") })
		for i := range records {
			page = append(m.append(page, &records[i]), '\n')
		}
	}
	pid := fmt.Sprintf(" fanlight %d ", os.Getpid())
	golden(t, filepath.Join("testdata", "formats", "syslog.golden"), bytes.ReplaceAll(page, []byte(pid), []byte(" fanlight PID ")))
}

func TestSyslogAllocatesNothing(t *testing.T) {
	for _, structured := range []bool{false, true} {
		c := defaultSyslog()
		c.StructuredData = structured
		s := &syslogger{config: *c}
		s.message = newSyslogMessage(c, func() {})
		batch := redacttest.Records(t)
		frame := func() {
			for i := range batch {
				s.buf = s.appendFrame(s.buf[:0], &batch[i])
			}
		}
		frame()
		if allocs := testing.AllocsPerRun(100, frame); allocs != 0 {
			t.Errorf("structured %t: allocations: want 0, got %v", structured, allocs)
		}
	}
}

func TestSyslogCanary(t *testing.T) {
	for _, profile := range []redact.Profile{redact.DefaultProfile, redact.RevealProfile} {
		c := defaultSyslog()
		c.StructuredData = true
		m := newSyslogMessage(c, func() {})
		var out []byte
		for _, r := range redacttest.Policy(t, profile).Apply(nil, redacttest.CanaryEvents()) {
			out = m.append(out, &r)
		}
		wantLeaks(t, profile, out)
	}
}
