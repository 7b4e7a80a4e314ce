// Package redacttest makes records for tests through the real policy, and
// finds secrets that leaked.
package redacttest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
)

// Origin is where the records of tests come from.
var Origin = redact.Origin{Node: "node-1", BootID: "6f1cb9a0-58a1-4f0e-9d0a-3f2b7d1c8e55"}

// Policy returns a policy of the given profile with a key that is always the
// same, so that its pseudonyms can stand in golden files.
func Policy(t testing.TB, profile redact.Profile) *redact.Policy {
	t.Helper()
	p, err := redact.NewPolicy(redact.Config{Profile: profile, KeyFile: KeyFile(t)}, Origin)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Records returns a record of each kind and action under the default profile.
func Records(t testing.TB) []redact.Record {
	t.Helper()
	events := Events()
	records := Policy(t, redact.DefaultProfile).Apply(nil, events)
	if len(records) != len(events) {
		t.Fatalf("records: want %d, got %d", len(events), len(records))
	}
	return records
}

// Many returns n records, numbered from first on.
func Many(t testing.TB, first, n int) []redact.Record {
	t.Helper()
	return Policy(t, redact.DefaultProfile).Apply(nil, Busy(first, n))
}

// Busy returns n events as a busy ring brings them, numbered from first on.
func Busy(first, n int) []bpf.Event {
	events := make([]bpf.Event, n)
	for i := range events {
		events[i] = Replication(uint64(first + i))
	}
	return events
}

// Replication returns one of Busy's events.
func Replication(seq uint64) bpf.Event {
	return bpf.Event{
		Kind: bpf.KindReplication, Action: "periodic", Time: start.Add(time.Duration(seq)), Ring: uint32(seq % 4), Seq: seq,
		Domain: "lab", Source: source4, Group: group4, Interface: "p0",
		FanOut: 16, Packets: 100000 + seq, Bytes: 142000000, Copies: 1600000, CopyBytes: 2272000000, Suppressed: 99,
	}
}

var (
	start   = time.Date(2026, 11, 22, 21, 34, 5, 123456789, time.UTC)
	source4 = netip.MustParseAddr("192.0.2.10")
	source6 = netip.MustParseAddr("2001:db8::10")
	group4  = netip.MustParseAddr("233.252.0.7")
	group6  = netip.MustParseAddr("ff15::7")
	host4   = netip.MustParseAddr("198.51.100.23")
	hostMAC = bpf.MAC{0x02, 0x00, 0x5e, 0x10, 0x20, 0x30}
	querier = netip.MustParseAddr("192.0.2.1")
)

// Events returns an event of each kind and action that redact knows.
func Events() []bpf.Event {
	var events []bpf.Event
	for _, kind := range bpf.Kinds() {
		for _, action := range redact.Actions(kind) {
			e := sample(kind)
			e.Action = action
			e.Seq = uint64(len(events))
			e.Time = start.Add(time.Duration(len(events)) * time.Millisecond)
			events = append(events, e)
		}
	}
	return events
}

func sample(kind bpf.Kind) bpf.Event {
	e := bpf.Event{Kind: kind, Domain: "lab", Ring: 1}
	switch kind {
	case bpf.KindReplication:
		e.Source, e.Group, e.Interface, e.VLAN = source4, group4, "p0", bpf.MakeVLAN(100, 0)
		e.FanOut, e.PrevFanOut, e.Packets, e.Bytes, e.Copies, e.CopyBytes = 3, 2, 1000, 142000, 2500, 355000
		e.Failures, e.Suppressed = 1, 12
	case bpf.KindDrop:
		e.Source, e.Group, e.Interface, e.Reason, e.VLAN = source6, group6, "veth-<3>", "no_member", bpf.MakeVLAN(100, 7)
		e.Packets, e.Bytes = 4, 400
	case bpf.KindMembership:
		e.Group, e.GroupName, e.Interface, e.Host, e.HostMAC = group4, "test feed", "p1", host4, hostMAC
		e.Protocol, e.FilterMode, e.Sources, e.Ring = "igmpv3", "include", []netip.Addr{source4, host4}, bpf.AgentRing
	case bpf.KindQuerier:
		e.Interface, e.Host, e.HostMAC, e.Protocol, e.Ring = "p0", querier, bpf.MAC{2, 0, 0, 0, 0, 1}, "igmpv3", bpf.AgentRing
	case bpf.KindStream:
		e.Domain, e.Source, e.Group, e.Interface, e.VLAN = "", source4, group4, "eth0", bpf.MakeVLAN(100, 0)
		e.Direction, e.Packets, e.Bytes, e.Ring = bpf.In.String(), 1000, 142000, bpf.AgentRing
		e.TTL, e.PrevTTL, e.DSCP, e.PrevDSCP, e.SilenceNS = 15, 16, 34, 46, 12e9
	case bpf.KindLoss:
		e.Domain, e.Reason, e.Lost, e.Ring = "", "ring_full", 42, bpf.AgentRing
	}
	return e
}
