package bpf

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// outcome is all that a packet did.
type outcome struct {
	Action    string
	State     state
	Events    []string
	Messages  []Message
	Delivered map[string][]string // frames in hex, by port
}

// observe runs the program and returns all that it did.
func (r *rig) observe(t testing.TB, port int, frame []byte, segs uint32) outcome {
	t.Helper()
	r.drain(t)
	r.handed(t)
	r.delivered(t)
	before := r.state(t)
	var o outcome
	o.Action = r.run(t, port, frame, segs)
	o.Delivered = r.delivered(t)
	o.State = r.state(t).since(before)
	o.Events = r.drain(t)
	o.Messages = r.handed(t)
	return o
}

// observeSent sends the frame to port 1, whose program must be attached, and
// returns all that it did but for the action.
func (r *rig) observeSent(t testing.TB, frame []byte) outcome {
	t.Helper()
	r.drain(t)
	r.handed(t)
	r.delivered(t)
	before := r.state(t)
	r.captures[1].Inject(t, frame)
	eventually(t, "packet seen", func() bool { return r.state(t).Ports["p1"].Seen > before.Ports["p1"].Seen })
	var o outcome
	o.Delivered = r.delivered(t)
	o.State = r.state(t).since(before)
	o.Events = r.drain(t)
	o.Messages = r.handed(t)
	return o
}

func (r *rig) checkSent(t *testing.T, frame []byte, want outcome) {
	t.Helper()
	want.Action = ""
	if diff := r.observeSent(t, frame).diff(want); diff != "" {
		t.Errorf("frame of %d bytes %x (-want +got):\n%s", len(frame), frame[:min(len(frame), 80)], diff)
	}
}

func (o outcome) diff(want outcome) string {
	return cmp.Diff(want, o, cmpopts.EquateEmpty())
}

// check fails the test if the frame, come in on port 1, does anything else.
func (r *rig) check(t *testing.T, frame []byte, want outcome) {
	t.Helper()
	if diff := r.observe(t, 1, frame, 1).diff(want); diff != "" {
		t.Errorf("frame %x (-want +got):\n%s", frame, diff)
	}
}

// subject names what a frame is about; it parses nothing, tests say it.
type subject struct {
	source, group string // group with its VLAN: 239.1.1.1@5
}

// forwardedTo is the outcome of the first packet of a stream, copied to ports.
func forwardedTo(s subject, action string, frame []byte, generation int, ports ...int) outcome {
	n, bytes := uint64(len(ports)), uint64(len(frame))
	o := outcome{
		Action: action,
		State: state{
			Ports:    map[string]portCount{"p1": {Seen: 1, Forwarded: 1}},
			Streams:  map[string]streamCount{s.source + ">" + s.group: {1, bytes, n, n * bytes, 0}},
			Pairs:    map[string]count{},
			Produced: map[string]uint64{"replication": 1},
		},
		Events: []string{fmt.Sprintf("d0 replication %s>%s p1 first fanout 0>%d generation %d packets 1 copies %d failures 0",
			s.source, s.group, n, generation, n)},
		Delivered: map[string][]string{},
	}
	for _, p := range ports {
		name := fmt.Sprint("p", p)
		o.State.Pairs[s.group+" "+name] = count{1, bytes}
		o.Delivered[name] = []string{fmt.Sprintf("%x", frame)}
	}
	return o
}

// flooded is forwardedTo whose copies are counted in the flood list's pairs.
func flooded(s subject, action string, frame []byte, ports ...int) outcome {
	o := forwardedTo(s, action, frame, 0, ports...)
	o.State.Pairs = map[string]count{}
	for _, p := range ports {
		o.State.Pairs[fmt.Sprintf("* p%d", p)] = count{1, uint64(len(frame))}
	}
	return o
}

// droppedFor is the outcome of the first packet of a group dropped for a reason.
func droppedFor(s subject, reason string, frame []byte) outcome {
	bytes := uint64(len(frame))
	return outcome{
		Action: drop,
		State: state{
			Ports:    map[string]portCount{"p1": {Seen: 1, Dropped: 1}},
			Drops:    map[string]count{reason + " " + s.group: {1, bytes}},
			Produced: map[string]uint64{"drop": 1},
		},
		Events: []string{fmt.Sprintf("d0 drop %s>%s p1 packet %s packets 1 bytes %d failures 0 suppressed 0",
			s.source, s.group, reason, bytes)},
	}
}

// untouched is the outcome of a packet that is not for fanlight.
func untouched() outcome {
	return outcome{Action: next, State: state{Ports: map[string]portCount{"p1": {Seen: 1, Passed: 1}}}}
}

// with returns a copy of a frame's description, changed.
func with(f bpftest.Frame, change func(*bpftest.Frame)) bpftest.Frame {
	change(&f)
	return f
}
