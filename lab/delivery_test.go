package lab_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

var (
	group4 = netip.MustParseAddr("233.252.0.1")
	group6 = netip.MustParseAddr("ff15::8000:1")
)

const port = 5000

// snooping is the switch of most tests.
var snooping = lab.BridgeConfig{Snooping: true, Querier: true}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func bridge(t *testing.T, n *lab.Net, cfg lab.BridgeConfig) *lab.Bridge {
	t.Helper()
	b, err := n.Bridge(deadline(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func listen(t *testing.T, h *lab.Host, cfg lab.ListenConfig) *lab.Receiver {
	t.Helper()
	cfg.Port = port
	r, err := h.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// waitPorts waits until the bridge forwards a group to exactly these ports.
func waitPorts(t *testing.T, b *lab.Bridge, group netip.Addr, ports ...string) {
	t.Helper()
	_, err := b.WaitMDB(deadline(t), func(entries []lab.MDBEntry) bool {
		var got []string
		for _, e := range entries {
			if e.Group == group && !e.Source.IsValid() {
				got = append(got, e.Port)
			}
		}
		return cmp.Equal(ports, got)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A host that joined gets each datagram once and intact; the sender and a host
// that did not join get none.
//
//	pub ──┐        ┌── in
//	      ├ bridge ┤
//	      └        └── out
func TestDelivery(t *testing.T) {
	tests := []struct {
		name  string
		group netip.Addr
		mtu   int
		send  lab.SendConfig
	}{
		{"IPv4", group4, 0, lab.SendConfig{Count: 1000, Size: 100}},
		{"IPv6", group6, 0, lab.SendConfig{Count: 1000, Size: 100}},
		{"smallest payload", group4, 0, lab.SendConfig{Count: 10, Size: lab.MinPayload}},
		{"IPv4 router alert", group4, 0, lab.SendConfig{Count: 100, Options: lab.RouterAlert}},
		{"IPv6 hop-by-hop", group6, 0, lab.SendConfig{Count: 100, Options: []byte{0, 0, 1, 4, 0, 0, 0, 0}}},
		{"IPv4 fragments", group4, 0, lab.SendConfig{Count: 50, Size: 20000}},
		{"IPv6 fragments", group6, 0, lab.SendConfig{Count: 50, Size: 20000}},
		{"IPv4 jumbo", group4, 9000, lab.SendConfig{Count: 200, Size: 8972}},
		{"IPv6 jumbo", group6, 9000, lab.SendConfig{Count: 200, Size: 8952}},
		{"IPv4 GSO", group4, 0, lab.SendConfig{Count: 1001, Size: 1000, Segments: 40}},
		{"IPv6 GSO", group6, 0, lab.SendConfig{Count: 1001, Size: 1000, Segments: 40}},
		{"paced", group4, 0, lab.SendConfig{Count: 200, Rate: 2000}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := labtest.NewConfig(t, lab.Config{MTU: tt.mtu, Hosts: labtest.Hosts("pub", "in", "out")})
			b := bridge(t, n, snooping)
			in := listen(t, n.Host("in"), lab.ListenConfig{Group: tt.group})
			out := listen(t, n.Host("out"), lab.ListenConfig{Group: tt.group, Idle: true})
			waitPorts(t, b, tt.group, "p-in")

			tt.send.Group, tt.send.Port = tt.group, port
			sent, err := n.Host("pub").Send(deadline(t), tt.send)
			if err != nil {
				t.Fatal(err)
			}
			if sent != tt.send.Count {
				t.Errorf("sent = %d, want %d", sent, tt.send.Count)
			}
			if err := in.Wait(deadline(t), sent); err != nil {
				t.Error(err)
			}
			if err := n.WaitQuiet(deadline(t), 50*time.Millisecond); err != nil {
				t.Error(err)
			}
			assertIntact(t, in, sent)
			if got := out.Received(); got != 0 {
				t.Errorf("host that did not join received %d datagrams", got)
			}
		})
	}
}

// assertIntact checks that a receiver got one whole stream of count datagrams,
// and nothing else.
func assertIntact(t *testing.T, r *lab.Receiver, count uint64) {
	t.Helper()
	got := r.Report()
	want := lab.StreamReport{Received: count, Distinct: count}
	if diff := cmp.Diff(want, got.Total()); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
	if got.Corrupt != 0 || got.Dropped != 0 || got.Datagrams != count {
		t.Errorf("datagrams = %d, corrupt = %d, dropped = %d; want %d, 0, 0", got.Datagrams, got.Corrupt, got.Dropped, count)
	}
}
