package redact_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
)

// asSeen is a record in every way that an encoder can read it.
func asSeen(r *redact.Record) (seen []string) {
	seen = append(seen, string(r.AppendJSON(nil)), r.Key(), r.Kind(), r.GroupMAC(), r.String(), fmt.Sprint(r.Texts()))
	for f, v := range r.Fields() {
		id := redact.FieldNamed(f.Name)
		seen = append(seen, fmt.Sprintf("%s %q %d %q %q", f.Name, v.Text(), v.Number(), slices.Collect(v.List()), r.AppendText(nil, id)))
		seen = append(seen, fmt.Sprintf("%t %q %d", r.Has(id), r.Text(id), r.Number(id)))
	}
	return seen
}

func allSeen(records []redact.Record) (seen [][]string) {
	for i := range records {
		seen = append(seen, asSeen(&records[i]))
	}
	return seen
}

// oddEvents are what hosts can bring about and tables of samples don't hold.
func oddEvents() []bpf.Event {
	events := redacttest.Events()
	for i := range events {
		e := &events[i]
		e.Interface, e.Domain = "<p\"0\\\n\x00\xff\u2028>&", strings.Repeat("füllhorn 🪭", i)
		e.Packets, e.Bytes, e.Seq, e.Ring = ^uint64(0)-uint64(i), 0, ^uint64(0)*uint64(i%2), ^uint32(0)
		e.VLAN = bpf.MakeVLAN(0xffff, uint16(i))
		e.Sources = make([]netip.Addr, i)
		for j := range e.Sources {
			e.Sources[j] = netip.AddrFrom4([4]byte{198, 51, 100, byte(j)})
		}
	}
	return events
}

// What went to disk comes back the same to every encoder, under all policies.
func TestBatchIsReadAsItWas(t *testing.T) {
	var reader redact.BatchReader
	var slots, got []redact.Record
	var payload []byte
	for _, profile := range redact.Profiles() {
		p, err := redact.NewPolicy(redact.Config{Profile: profile, KeyFile: redacttest.KeyFile(t)}, redacttest.OriginCanary)
		if err != nil {
			t.Fatal(err)
		}
		for name, events := range map[string][]bpf.Event{
			"none": nil, "one": redacttest.Events()[:1], "samples": redacttest.Events(), "canaries": redacttest.CanaryEvents(),
			"strict canaries": redacttest.StrictCanaryEvents(), "busy": redacttest.Busy(0, 300), "odd": oddEvents(),
		} {
			records := p.Apply(slots[:0], events)
			if len(records) != len(events) {
				t.Fatalf("%s: records: want %d, got %d", name, len(events), len(records))
			}
			payload = redact.AppendBatch(payload[:0], records)
			if got, err = reader.Read(got[:0], payload); err != nil {
				t.Fatalf("%s, %s: %v", profile, name, err)
			}
			clear(payload) // the records must not share it
			if d := cmp.Diff(allSeen(records), allSeen(got)); d != "" {
				t.Errorf("%s, %s (-written +read):\n%s", profile, name, d)
			}
			slots = records
		}
	}
}

// A batch may come from several origins, and is read behind other records.
func TestBatchOfSeveralOrigins(t *testing.T) {
	var want []redact.Record
	for i := range 20 { // more than a reader remembers
		p, err := redact.NewPolicy(redact.Config{}, redact.Origin{Node: fmt.Sprint("node-", i), BootID: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, p.Apply(nil, redacttest.Busy(i, 2))...)
	}
	var reader redact.BatchReader
	for round := range 3 {
		got, err := reader.Read(slices.Clone(want[:3]), redact.AppendBatch(nil, want))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(allSeen(append(slices.Clone(want[:3]), want...)), allSeen(got)); d != "" {
			t.Errorf("round %d (-want +got):\n%s", round, d)
		}
	}
}

func TestZeroRecordIsNotWritten(t *testing.T) {
	records := redacttest.Many(t, 0, 2)
	payload := redact.AppendBatch(nil, []redact.Record{{}, records[0], {}, records[1], {}})
	var reader redact.BatchReader
	got, err := reader.Read(nil, payload)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(allSeen(records), allSeen(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// No byte of what policy hides is in the durable form.
func TestNoCanaryInABatch(t *testing.T) {
	payload := func(profile redact.Profile, events []bpf.Event) []byte {
		p, err := redact.NewPolicy(redact.Config{Profile: profile, KeyFile: redacttest.KeyFile(t)}, redacttest.OriginCanary)
		if err != nil {
			t.Fatal(err)
		}
		// The slots held the same events in clear before.
		clear, err := redact.NewPolicy(redact.Config{Profile: redact.RevealProfile}, redacttest.OriginCanary)
		if err != nil {
			t.Fatal(err)
		}
		slots := clear.Apply(nil, redacttest.StrictCanaryEvents())
		return redact.AppendBatch(nil, p.Apply(slots[:0], events))
	}
	for _, profile := range []redact.Profile{redact.DefaultProfile, redact.SIEMProfile} {
		if leaks := redacttest.Leaks(payload(profile, redacttest.CanaryEvents())); len(leaks) > 0 {
			t.Errorf("profile %s leaks %v", profile, leaks)
		}
	}
	if leaks := redacttest.StrictLeaks(payload(redact.StrictProfile, redacttest.StrictCanaryEvents())); len(leaks) > 0 {
		t.Errorf("profile strict leaks %v", leaks)
	}
	if leaks := redacttest.StrictLeaks(payload(redact.RevealProfile, redacttest.StrictCanaryEvents())); len(leaks) < 10 {
		t.Errorf("profile reveal shows %v only: the search is blind", leaks)
	}
}

// However a batch is cut or damaged, nothing panics, and what is read is fit
// for every encoder.
func TestDamagedBatches(t *testing.T) {
	samples := redacttest.Records(t)
	payload := redact.AppendBatch(nil, append(samples[:1:1], samples[5:11]...)) // of most kinds
	before := redacttest.Many(t, 0, 1)
	var reader redact.BatchReader
	for n := range payload {
		got, err := reader.Read(before, payload[:n])
		if !errors.Is(err, redact.ErrBadBatch) || len(got) != 1 {
			t.Fatalf("first %d bytes of %d: %d records, %v", n, len(payload), len(got), err)
		}
	}
	if _, err := reader.Read(nil, append(slices.Clone(payload), 0)); !errors.Is(err, redact.ErrBadBatch) {
		t.Errorf("a byte more: got %v", err)
	}
	refused := 0
	for i := range payload {
		for _, flip := range []byte{1, 0x20, 0x80, 0xff} {
			damaged := slices.Clone(payload)
			damaged[i] ^= flip
			if !readsSound(t, &reader, damaged) {
				refused++
			}
		}
	}
	if refused < len(payload) {
		t.Errorf("only %d of %d damages were noticed", refused, 4*len(payload))
	}
}
