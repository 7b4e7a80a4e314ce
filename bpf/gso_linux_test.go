package bpf

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// TestSuperPacketsOfVirtualMachines: what a virtual machine sends comes in
// without the number of its datagrams. It is counted as those that it holds, and
// so is a copy that is lost.
func TestSuperPacketsOfVirtualMachines(t *testing.T) {
	r := newRig(t, 3)
	tap := addMachine(t, r)
	const size, datagrams, last = 1000, 7, 300 // the last datagram is shorter
	payload := strings.Repeat("g", (datagrams-1)*size+last)
	if err := netlink.LinkSetDown(r.ports[3].Port); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name  string
		vlan  VLAN
		frame bpftest.Frame
	}{
		{"untagged", 0, bpftest.UDP(sender, "239.1.1.1", payload)},
		{"tagged", MakeVLAN(5, 0), with(bpftest.UDP(sender, "239.1.1.2", payload), func(f *bpftest.Frame) {
			f.Tags = []bpftest.Tag{{Protocol: 0x8100, ID: 5}}
		})},
		{"IPv6", 0, bpftest.UDP(sender6, "ff15::1", payload)},
	} {
		t.Run(row.name, func(t *testing.T) {
			r.ns.Enter(t)
			r.join(t, row.frame.Group.String(), row.vlan, 2, 3)
			before := r.state(t)
			frame := row.frame.Bytes()
			headers := len(frame) - len(payload)
			sendSegmented(t, int(tap.Fd()), frame, headers-8, size)
			bytes := uint64(datagrams*headers + len(payload))
			group := groupName(GroupKey{VLAN: row.vlan, Group: row.frame.Group})
			want := state{
				Streams:  map[string]streamCount{row.frame.Source.String() + ">" + group: {datagrams, bytes, 2 * datagrams, 2 * bytes, datagrams}},
				Pairs:    map[string]count{group + " p2": {datagrams, bytes}, group + " p3": {datagrams, bytes}},
				Failures: map[string]count{"port_down " + group + " p3": {datagrams, bytes}},
				Produced: map[string]uint64{"replication": 1, "drop": 1},
			}
			eventually(t, "packet counted", func() bool { return len(r.state(t).since(before).Streams) > 0 })
			if diff := (outcome{State: r.state(t).since(before)}).diff(outcome{State: want}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	c, err := r.d.PortCount(machinePlace)
	if err != nil {
		t.Fatal(err)
	}
	if c.Seen != 3*datagrams || c.Verdicts[wireVerdictVERDICT_FORWARDED] != c.Seen {
		t.Errorf("the port counted %+v, want %d forwarded", c, 3*datagrams)
	}
}

// TestPassedSuperPackets: seen closes with the verdicts, whatever the kernel
// says of a super-packet.
func TestPassedSuperPackets(t *testing.T) {
	r := newRig(t, 2)
	udp := bpftest.UDP(sender, "239.1.1.1", strings.Repeat("x", 950))
	tcp := bpftest.Frame{DstMAC: [6]byte{2}, Source: udp.Source, Group: udp.Source, TTL: 9, Protocol: 6}
	for i, row := range []struct {
		frame []byte
		segs  uint32 // 0: the kernel does not know
		want  portCount
	}{
		{udp.Bytes(), 0, portCount{Seen: 10, Dropped: 10}},
		{udp.Bytes(), 10, portCount{Seen: 10, Dropped: 10}},
		{udp.Bytes()[:42], 0, portCount{Seen: 1, Dropped: 1}},
		{tcp.Bytes(), 0, portCount{Seen: 1, Passed: 1}},
	} {
		before := r.state(t)
		in := skbContext{Ifindex: r.ports[1].Index(), GSOSegs: row.segs, GSOSize: 100}
		if _, err := r.d.replicate.Run(&ebpf.RunOptions{Data: row.frame, Context: in}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]portCount{"p1": row.want}, r.state(t).since(before).Ports); diff != "" {
			t.Errorf("row %d (-want +got):\n%s", i, diff)
		}
	}
}

// machinePlace is the place of a tap's counters.
const machinePlace = 10

// addMachine makes a port of the device that a virtual machine would be behind: what
// is written to the file comes in there, after a struct virtio_net_hdr.
func addMachine(t *testing.T, r *rig) *os.File {
	t.Helper()
	const tunCsum, tunUSO4, tunUSO6 = 0x01, 0x20, 0x40 // TUN_F_*
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		t.Skipf("this kernel has no tap devices: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	req, err := unix.NewIfreq("tap1")
	if err != nil {
		t.Fatal(err)
	}
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(int(f.Fd()), unix.TUNSETIFF, req); err != nil {
		t.Fatal(err)
	}
	err = unix.IoctlSetInt(int(f.Fd()), unix.TUNSETOFFLOAD, tunCsum|tunUSO4|tunUSO6)
	if errors.Is(err, unix.EINVAL) {
		t.Skip("tap devices of this kernel take no super-packets of UDP")
	}
	if err != nil {
		t.Fatal(err)
	}
	tap, err := netlink.LinkByName("tap1")
	if err == nil {
		err = netlink.LinkSetUp(tap)
	}
	if err != nil {
		t.Fatal(err)
	}
	index := uint32(tap.Attrs().Index)
	if err := errors.Join(r.d.Tables.SetPort(index, Port{Index: machinePlace, Name: "tap1"}), r.d.AttachPort(index)); err != nil {
		t.Fatal(err)
	}
	r.names[index] = "tap1"
	return f
}
