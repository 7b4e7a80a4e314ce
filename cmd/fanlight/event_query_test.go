package main

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

func TestMoments(t *testing.T) {
	now := time.Date(2026, 11, 22, 21, 34, 5, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"15m":                            now.Add(-15 * time.Minute),
		"0s":                             now,
		"2026-11-22T21:00:00Z":           now.Add(-34*time.Minute - 5*time.Second),
		"2026-11-22T22:00:00.5+01:00":    now.Add(-34*time.Minute - 4500*time.Millisecond),
		"-15m":                           {},
		"yesterday":                      {},
		"2026-11-22":                     {},
		"0001-01-01T00:00:00Z":           {},
		"9999-12-31T23:59:59Z":           {},
		"2026-11-22T21:00:00Z and later": {},
	} {
		got, err := parseMoment(text, now)
		if want.IsZero() != (err != nil) || err == nil && !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
}

// FuzzEventQuery: a query string is refused with an error that names what is
// wrong, or chooses events.
func FuzzEventQuery(f *testing.F) {
	for _, q := range []string{
		"", "last=3", "since=15m&until=5m&follow=true", "type=drop/copy&not.reason=ring*&group=239.0.0.0/8",
		"subscriber=p-*&source=2001:db8::/32&interface=[a-z]*&reveal=true", "last=0", "until=2026-11-22T21:34:05Z", "type=x", "not.not.type=drop",
		"group=fe80::1%eth0", "group=::ffff:239.1.1.1", "source=%00", "interface=%5B",
	} {
		f.Add(q)
	}
	records := redacttest.Records(f)
	clear := redacttest.Policy(f, redact.RevealProfile).Apply(nil, redacttest.Events())
	f.Fuzz(func(t *testing.T, raw string) {
		values, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		q, err := parseEventQuery(values, time.Now())
		if err != nil {
			if name, _, found := strings.Cut(err.Error(), ": "); !found || len(name) > len(raw) && name != "until" {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		for i := range records {
			q.wants(&records[i])
			q.wants(&clear[i])
		}
	})
}
