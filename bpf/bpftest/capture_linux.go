package bpftest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fenceType is an experimental EtherType (IEEE 802): see Capture.Frames.
const fenceType = 0x88b5

// Capture sees the frames that arrive at the far end of a port.
type Capture struct {
	pair   Veth
	in     int // at the far end
	out    int // sends through the port
	fences uint32
	buf    []byte
}

// NewCapture starts to capture. It sends, too: see Inject.
func NewCapture(t testing.TB, pair Veth) *Capture {
	t.Helper()
	c := &Capture{pair: pair, in: packetSocket(t, pair.Far.Index), out: packetSocket(t, 0), buf: make([]byte, 1<<16)}
	for _, opt := range []struct{ level, name, value int }{
		{unix.SOL_PACKET, unix.PACKET_AUXDATA, 1},
		{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16 << 20},
	} {
		if err := unix.SetsockoptInt(c.in, opt.level, opt.name, opt.value); err != nil {
			// A small receive buffer is enough for most tests.
			if opt.name == unix.SO_RCVBUFFORCE {
				continue
			}
			t.Fatalf("set up capture on %s: %v", pair.Far.Name, err)
		}
	}
	return c
}

// packetSocket returns a packet socket; index 0 receives nothing.
func packetSocket(t testing.TB, index int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open packet socket: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if index == 0 {
		return fd
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: index}); err != nil {
		t.Fatalf("bind packet socket to interface %d: %v", index, err)
	}
	return fd
}

// Inject sends a frame from the far end, so that it comes in on the port.
func (c *Capture) Inject(t testing.TB, frame []byte) {
	t.Helper()
	c.send(t, frame, c.pair.Far.Index)
}

func (c *Capture) send(t testing.TB, frame []byte, index int) {
	t.Helper()
	for {
		err := unix.Sendto(c.out, frame, 0, &unix.SockaddrLinklayer{Ifindex: index, Halen: 6})
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOBUFS) {
			continue
		}
		if err != nil {
			t.Fatalf("send %d bytes to interface %d: %v", len(frame), index, err)
		}
		return
	}
}

// Frames returns what arrived since the last call. It sends a frame of its own
// through the port and reads up to it: the thread's CPU keeps them in order.
func (c *Capture) Frames(t testing.TB) [][]byte {
	t.Helper()
	c.fences++
	fence := make([]byte, 60)
	binary.BigEndian.PutUint16(fence[12:], fenceType)
	binary.BigEndian.PutUint32(fence[14:], c.fences)
	c.send(t, fence, c.pair.Port.Index)
	var frames [][]byte
	for {
		f := c.read(t)
		if f == nil {
			t.Fatalf("%s: the end of the capture did not arrive", c.pair.Far.Name)
		}
		if bytes.Equal(f[12:], fence[12:]) {
			return frames
		}
		frames = append(frames, f)
	}
}

// read returns the next frame, with the tag that the kernel took out put back.
func (c *Capture) read(t testing.TB) []byte {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(c.in), Events: unix.POLLIN}}
	deadline := time.Now().Add(5 * time.Second)
	for {
		n, err := unix.Poll(fds, int(time.Until(deadline).Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			t.Fatalf("poll %s: %v", c.pair.Far.Name, err)
		}
		if n == 0 {
			return nil
		}
		break
	}
	oob := make([]byte, unix.CmsgSpace(int(unsafe.Sizeof(unix.TpacketAuxdata{}))))
	n, oobn, _, _, err := unix.Recvmsg(c.in, c.buf, oob, 0)
	if err != nil {
		t.Fatalf("read %s: %v", c.pair.Far.Name, err)
	}
	frame := bytes.Clone(c.buf[:n])
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) == 0 || len(messages[0].Data) < int(unsafe.Sizeof(unix.TpacketAuxdata{})) {
		return frame
	}
	aux := (*unix.TpacketAuxdata)(unsafe.Pointer(&messages[0].Data[0]))
	if aux.Status&unix.TP_STATUS_VLAN_VALID == 0 {
		return frame
	}
	var tag []byte
	tag = binary.BigEndian.AppendUint16(tag, aux.Vlan_tpid)
	tag = binary.BigEndian.AppendUint16(tag, aux.Vlan_tci)
	return append(append(frame[:12:12], tag...), frame[12:]...)
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }
