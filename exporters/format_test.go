package exporters

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
)

// golden compares got with a committed file.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(string(readFile(t, path)), string(got)); d != "" {
		t.Errorf("%s is stale: run go generate ./exporters\n%s", path, d)
	}
}

func eachFormat(t *testing.T, test func(t *testing.T, f Format)) {
	for _, f := range Formats() {
		t.Run(string(f), func(t *testing.T) { test(t, f) })
	}
}

// testRecords are records of each kind and action, common and odd ones, under
// each profile.
func testRecords(t *testing.T) []redact.Record {
	events := slices.Concat(redacttest.Events(), redacttest.OddEvents(), redacttest.CanaryEvents())
	var all []redact.Record
	for _, profile := range []redact.Profile{redact.DefaultProfile, redact.RevealProfile} {
		all = append(all, redacttest.Policy(t, profile).Apply(nil, events)...)
	}
	if len(all) != 2*len(events) {
		t.Fatalf("records: want %d, got %d", 2*len(events), len(all))
	}
	return all
}

// The constant parts of a line are those of its own record, whatever order
// records and origins come in.
func TestFormatGolden(t *testing.T) {
	eachFormat(t, func(t *testing.T, f Format) {
		enc := f.encoder()
		var page []byte
		for _, profile := range []redact.Profile{redact.DefaultProfile, redact.RevealProfile} {
			page = appendLines(page, enc, redacttest.Policy(t, profile).Apply(nil, redacttest.Events()))
		}
		golden(t, filepath.Join("testdata", "formats", string(f)+".golden"), page)
	})
}

func TestFormatOfAnotherOrigin(t *testing.T) {
	other, err := redact.NewPolicy(redact.Config{KeyFile: redacttest.KeyFile(t)}, redact.Origin{Node: "node-2", BootID: "boot-2"})
	if err != nil {
		t.Fatal(err)
	}
	eachFormat(t, func(t *testing.T, f Format) {
		enc := f.encoder()
		for range 2 {
			for node, records := range map[string][]redact.Record{
				"node-1": redacttest.Records(t), "node-2": other.Apply(nil, redacttest.Events()),
			} {
				if line := enc.append(nil, &records[0]); !bytes.Contains(line, []byte(node)) {
					t.Errorf("want a line of %s, got %s", node, line)
				}
			}
		}
	})
}

func TestFormatLinesAreLines(t *testing.T) {
	records := testRecords(t)
	eachFormat(t, func(t *testing.T, f Format) {
		enc := f.encoder()
		for i := range records {
			line := enc.append(nil, &records[i])
			if !beginsRecord(string(line)) {
				t.Errorf("no known beginning: %s", line)
			}
			for _, r := range string(line) {
				if r < 0x20 || 0x7f <= r && r < 0xa0 || r == 0x2028 || r == 0x2029 {
					t.Errorf("%q in %q", r, line)
				}
			}
			if !bytes.Equal(line, bytes.ToValidUTF8(line, nil)) {
				t.Errorf("not UTF-8: %q", line)
			}
		}
	})
}

func TestFormatAllocatesNothing(t *testing.T) {
	batch := testRecords(t)
	eachFormat(t, func(t *testing.T, f Format) {
		for _, part := range [][]redact.Record{batch[:len(batch)/2], batch[len(batch)/2:]} {
			enc := f.encoder()
			lines := appendLines(nil, enc, part)
			if allocs := testing.AllocsPerRun(20, func() { lines = appendLines(lines[:0], enc, part) }); allocs != 0 {
				t.Errorf("allocations: want 0, got %v for %d records", allocs, len(part))
			}
		}
	})
}

func TestCanaryThroughEveryFormat(t *testing.T) {
	for _, profile := range []redact.Profile{redact.DefaultProfile, redact.RevealProfile} {
		records := redacttest.Policy(t, profile).Apply(nil, redacttest.CanaryEvents())
		eachFormat(t, func(t *testing.T, f Format) {
			wantLeaks(t, profile, appendLines(nil, f.encoder(), records))
		})
	}
}

// What the native form tells, the others tell too.
func TestFormatsTellEveryField(t *testing.T) {
	records := redacttest.Policy(t, redact.RevealProfile).Apply(nil, redacttest.CanaryEvents())
	eachFormat(t, func(t *testing.T, f Format) {
		enc := f.encoder()
		for i := range records {
			line := strings.ToLower(strings.ReplaceAll(string(enc.append(nil, &records[i])), "-", ":"))
			for field, value := range records[i].Fields() {
				want := value.Text()
				switch field.Type {
				case redact.TypeTime:
					continue // in the forms that the tests of each format check
				case redact.TypeNumber:
					want = fmt.Sprint(value.Number())
				case redact.TypeList:
					for s := range value.List() {
						want = s
					}
				}
				escaped := strings.NewReplacer("<", `\u003c`, ">", `\u003e`).Replace(want)
				if want, escaped = strings.ReplaceAll(want, "-", ":"), strings.ReplaceAll(escaped, "-", ":"); !strings.Contains(line, want) && !strings.Contains(line, escaped) {
					t.Errorf("%s: %q is not in %s", field.Name, want, line)
				}
			}
		}
	})
}

func TestFormatValidate(t *testing.T) {
	for _, f := range append(Formats(), "") {
		if err := f.Validate(); err != nil {
			t.Errorf("%q: %v", f, err)
		}
	}
	err := Format("esc").Validate()
	if want := `format "esc": want one of native, ecs, ocsf, cef, leef`; err == nil || err.Error() != want {
		t.Errorf("error: want %q, got %v", want, err)
	}
}

func TestStylesAdmit(t *testing.T) {
	tests := []struct {
		text string
		want []style
	}{
		{"192.0.2.1", []style{asIP, asIPv4}},
		{"ff15::7", []style{asIP, asIPv6}},
		{"::", []style{asIP, asIPv6}},
		{"192.0.2.0/24", nil},
		{"192.0.2", nil},
		{"1.2.3.400", nil},
		{"fe80::1%p0", nil},
		{"source_cd27abf0_ba0eb6649ca9dd39b5e7e2cd", nil},
		{"", nil},
		{"dead.beef", nil},
		{"02:00:5e:10:20:3f", []style{asMAC, asDashMAC}},
		{"02-00-5e-10-20-3f", nil},
		{"02:00:5e:10:20:3", nil},
		{"02:00:5e:10:20:3g", nil},
		{"020:0:5e:10:20:3f", nil},
	}
	for _, tt := range tests {
		var got []style
		for _, s := range []style{asIP, asIPv4, asIPv6, asMAC, asDashMAC} {
			if s.admits(tt.text) {
				got = append(got, s)
			}
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%q (-want +got):\n%s", tt.text, d)
		}
	}
}
