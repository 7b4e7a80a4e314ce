package redact_test

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

var pseudonymForm = regexp.MustCompile(`^(source|host|mac|queriermac)_[0-9a-f]{8}_[0-9a-f]{24}$`)

// Whatever an event holds, a record is valid JSON, and under the default
// profile what belongs to a host is a pseudonym; or there is no record, and a
// failure is counted.
func FuzzApply(f *testing.F) {
	f.Add(uint8(3), "joined", "accepted", "lab", "p0", []byte{192, 0, 2, 1}, []byte{198, 51, 100, 1}, "igmpv3", "include", int64(1), uint32(7))
	f.Add(uint8(4), "elected", "", "\xff\"\\", "\x00\n", []byte("0123456789abcdef"), []byte{}, "", "", int64(-1), uint32(1<<16|5))
	f.Add(uint8(9), "192.0.2.1", "192.0.2.1", "", "", []byte{}, []byte{1}, "192.0.2.1", "192.0.2.1", int64(1<<62), uint32(0))
	policy := redacttest.Policy(f, redact.DefaultProfile)
	f.Fuzz(func(t *testing.T, kind uint8, action, reason, domain, iface string, source, host []byte, protocol, mode string, ns int64, vlan uint32) {
		e := bpf.Event{Kind: bpf.Kind(kind), Action: action, Reason: reason, Domain: domain, Interface: iface,
			Protocol: protocol, FilterMode: mode, Time: time.Unix(0, ns), VLAN: bpf.VLAN(vlan), Seq: uint64(ns)}
		e.Source, _ = netip.AddrFromSlice(source)
		e.Host, _ = netip.AddrFromSlice(host)
		e.Sources = []netip.Addr{e.Host, e.Source}
		copy(e.HostMAC[:], host)

		before := countFailures(policy)
		records := policy.Apply(nil, []bpf.Event{e})
		if lost := countFailures(policy) - before; int(lost)+len(records) != 1 {
			t.Fatalf("1 event: %d records, %d failures", len(records), lost)
		}
		for i := range records {
			checkRecord(t, &records[i])
		}
	})
}

func countFailures(p *redact.Policy) (total uint64) {
	for _, n := range p.Failures() {
		total += n
	}
	return total
}

func checkRecord(t *testing.T, r *redact.Record) {
	if line := r.AppendJSON(nil); !json.Valid(line) {
		t.Errorf("not valid JSON: %q", line)
	}
	for f, v := range r.Fields() {
		switch f.Class {
		case redact.SourceAddress, redact.HostAddress, redact.HostMAC, redact.QuerierMAC:
		default:
			continue
		}
		values := []string{v.Text()}
		if f.Type == redact.TypeList {
			values = values[:0]
			for s := range v.List() {
				values = append(values, s)
			}
		}
		for _, s := range values {
			if !pseudonymForm.MatchString(s) {
				t.Errorf("%s is no pseudonym: %q", f.Name, s)
			}
		}
	}
}
