package bpf

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

func (r *rig) forget(t *testing.T, source, group string, beforeNS uint64) bool {
	t.Helper()
	s := Stream{}
	if source != "*" {
		s.Source = netip.MustParseAddr(source)
	}
	if group != "*" {
		s.Group = netip.MustParseAddr(group)
	}
	done, err := r.d.Forget(s, beforeNS)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// TestForget: a silent stream goes, and its totals to its group's stream, and
// with that to the domain's: no sum ever goes back.
func TestForget(t *testing.T) {
	r := newRig(t, 2)
	r.join(t, "239.1.1.1", 0, 2)
	frame := bpftest.UDP(sender, "239.1.1.1", "x").Bytes()
	for range 3 {
		r.run(t, 1, frame, 1)
	}
	n := uint64(len(frame))
	all := streamCount{3, 3 * n, 3, 3 * n, 0}
	for _, step := range []struct {
		name          string
		source, group string
		before        uint64
		forgotten     bool
		want          map[string]streamCount
	}{
		{"in use", sender, "239.1.1.1", 1, false, map[string]streamCount{sender + ">239.1.1.1": all, "*>239.1.1.1": {}, "*>*": {}}},
		{"unknown", sender, "239.1.1.2", uint64(Now()), false, map[string]streamCount{sender + ">239.1.1.1": all, "*>239.1.1.1": {}, "*>*": {}}},
		{"silent", sender, "239.1.1.1", uint64(Now()), true, map[string]streamCount{"*>239.1.1.1": all, "*>*": {}}},
		{"again", sender, "239.1.1.1", uint64(Now()), false, map[string]streamCount{"*>239.1.1.1": all, "*>*": {}}},
		{"its group's", "*", "239.1.1.1", uint64(Now()), true, map[string]streamCount{"*>*": all}},
		{"the domain's own", "*", "*", uint64(Now()), false, map[string]streamCount{"*>*": all}},
	} {
		if got := r.forget(t, step.source, step.group, step.before); got != step.forgotten {
			t.Errorf("%s: forgotten %v, want %v", step.name, got, step.forgotten)
		}
		if diff := cmp.Diff(step.want, r.state(t).Streams, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

// TestForgottenSourcesMakeRoom: the limit of a group counts the sources that
// have a stream, no more and no less, in whatever order things come and go.
func TestForgottenSourcesMakeRoom(t *testing.T) {
	r := newRig(t, 2)
	r.setDomain(t, Domain{Unregistered: FloodUnregistered, StreamsPerGroup: 2})
	send := func(n int) {
		t.Helper()
		r.run(t, 1, bpftest.UDP(fmt.Sprintf("192.0.2.%d", n), "239.1.1.1", "x").Bytes(), 1)
	}
	own := func() (n int) {
		for name := range r.state(t).Streams {
			if name[0] != '*' {
				n++
			}
		}
		return n
	}
	send(1) // older than the group's own stream: not among its sources
	r.join(t, "239.1.1.1", 0, 2)
	if !r.forget(t, "192.0.2.1", "239.1.1.1", uint64(Now())) {
		t.Fatal("not forgotten")
	}
	for i := range 5 {
		send(i + 1)
	}
	if got := own(); got != 2 {
		t.Errorf("%d sources have a stream, want 2", got)
	}
	if !r.forget(t, "192.0.2.1", "239.1.1.1", uint64(Now())) {
		t.Fatal("not forgotten")
	}
	send(7)
	send(8)
	if got := own(); got != 2 {
		t.Errorf("after one was forgotten, %d sources have a stream, want 2", got)
	}
	if sum := r.state(t).Streams["*>239.1.1.1"]; sum.Packets != 1+1+3+1 {
		t.Errorf("others counted %+v, want 6 packets", sum)
	}
}

// TestForgetAnyAddress: the request looks like a frame to the kernel, which must
// not mind what bytes of the source stand where an EtherType would.
func TestForgetAnyAddress(t *testing.T) {
	r := newRig(t, 2)
	for _, source := range []string{"8.0.0.1", "134.221.0.1", "129.0.0.1", "2001:db8::86dd:1", "2001:db8::800:1"} {
		group := "239.1.1.1"
		if netip.MustParseAddr(source).Is6() {
			group = "ff15::1"
		}
		r.join(t, group, 0, 2)
		r.run(t, 1, bpftest.UDP(source, group, "x").Bytes(), 1)
		if !r.forget(t, source, group, uint64(Now())) {
			t.Errorf("%s: not forgotten", source)
		}
	}
}
