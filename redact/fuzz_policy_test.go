package redact_test

import (
	"net/netip"
	"testing"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// Whatever stands in the other fields, a canary does not come out of those that
// a profile redacts.
func FuzzNoCanary(f *testing.F) {
	f.Add(uint8(1), uint8(0), []byte{239, 1, 2, 3}, "lab", "p0", uint64(7), uint32(5))
	f.Add(uint8(3), uint8(4), netipMust("ff02::1:ff12:3456").AsSlice(), "\"", "\x00", uint64(1<<63), uint32(1<<31))
	f.Add(uint8(4), uint8(2), []byte{}, "", "", uint64(0), uint32(0))
	policies := map[redact.Profile]*redact.Policy{}
	for _, profile := range []redact.Profile{redact.DefaultProfile, redact.StrictProfile, redact.SIEMProfile} {
		policies[profile] = redacttest.Policy(f, profile)
	}
	f.Fuzz(func(t *testing.T, kind, action uint8, group []byte, domain, iface string, count uint64, fanOut uint32) {
		canaries := redacttest.StrictCanaryEvents()
		e := canaries[int(action)%len(canaries)]
		if actions := redact.Actions(bpf.Kind(kind)); len(actions) > 0 {
			e.Kind, e.Action = bpf.Kind(kind), actions[int(action)%len(actions)]
		}
		e.Packets, e.FanOut, e.Seq = count, fanOut, count
		strict := e
		e.Group, _ = netip.AddrFromSlice(group)
		e.Domain, e.Interface = domain, iface
		if e.Kind == bpf.KindQuerier {
			e.Host = redacttest.QuerierCanary // in clear by default
		}
		var out []byte
		for _, profile := range []redact.Profile{redact.DefaultProfile, redact.SIEMProfile} {
			for _, r := range policies[profile].Apply(nil, []bpf.Event{e}) {
				out = append(r.AppendJSON(out), r.Key()+r.GroupMAC()...)
			}
		}
		if redacttest.Leaks([]byte(domain+iface)) == nil {
			if leaks := redacttest.Leaks(out); len(leaks) > 0 && !numeric(count, fanOut) {
				t.Errorf("leaks %v in %s", leaks, out)
			}
		}
		out = out[:0]
		for _, r := range policies[redact.StrictProfile].Apply(nil, []bpf.Event{strict}) {
			out = append(r.AppendJSON(out), r.Key()+r.GroupMAC()...)
		}
		if leaks := redacttest.StrictLeaks(out); len(leaks) > 0 && !numeric(count, fanOut) {
			t.Errorf("leaks %v in %s", leaks, out)
		}
	})
}

// numeric reports whether the counts themselves look like a canary.
func numeric(count uint64, fanOut uint32) bool {
	e := bpf.Event{Kind: bpf.KindDrop, Action: "packet", Time: redacttest.Replication(0).Time, Packets: count, FanOut: fanOut, Seq: count}
	p, err := redact.NewPolicy(redact.Config{CacheEntries: 1}, redacttest.Origin)
	if err != nil {
		return false
	}
	for _, r := range p.Apply(nil, []bpf.Event{e}) {
		return len(redacttest.StrictLeaks(r.AppendJSON(nil))) > 0
	}
	return false
}

// Whatever address comes, it stays in its block, and the key holder gets it
// back.
func FuzzPrefixPreserving(f *testing.F) {
	for _, a := range []string{"192.0.2.1", "232.1.1.1", "239.255.0.1", "0.0.0.0", "2001:db8::1", "ff02::1", "ff3e::8000:1", "fe80::1", "::ffff:10.0.0.1"} {
		f.Add(netipMust(a).AsSlice())
	}
	p := redacttest.Policy(f, redact.SIEMProfile)
	ring, err := redact.OpenKeyring(redacttest.KeyFile(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		a = a.Unmap()
		e := redacttest.Replication(0)
		e.Source = a
		text := fieldsOf(p, e)["source"]
		b, err := netip.ParseAddr(text)
		if err != nil {
			t.Fatalf("%s becomes %q", a, text)
		}
		if a.BitLen() != b.BitLen() || a.IsMulticast() != b.IsMulticast() || a.IsPrivate() != b.IsPrivate() || a.IsLoopback() != b.IsLoopback() ||
			redact.GroupScope(a) != redact.GroupScope(b) || redact.GroupClass(a) != redact.GroupClass(b) {
			t.Errorf("%s becomes %s, of another kind", a, b)
		}
		if !reveals(t, ring, text, a.String()) {
			t.Errorf("%s becomes %s, which is not revealed", a, b)
		}
	})
}

func FuzzParseEvent(f *testing.F) {
	p := redacttest.Policy(f, redact.RevealProfile)
	for _, r := range p.Apply(nil, redacttest.Events()) {
		f.Add(r.AppendJSON(nil))
	}
	strict := redacttest.Policy(f, redact.StrictProfile)
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := redact.ParseEvent(raw)
		if err != nil {
			return
		}
		list, err := strict.Explain(&e)
		if got := strict.Apply(nil, []bpf.Event{e}); (err == nil) != (len(got) == 1) || err == nil && len(list) == 0 {
			t.Errorf("%s: %d records, but explained as %v, %v", raw, len(got), list, err)
		}
	})
}
