package lab

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// FrameCount is what a FrameCounter saw.
type FrameCount struct {
	// Frames counts what the interface received; a super-packet is one.
	Frames uint64
	// Datagrams counts a super-packet as the datagrams that it holds.
	Datagrams uint64
	// Bytes counts frames with their Ethernet headers, as received.
	Bytes uint64
	// Missed counts frames that the counter was too slow to see. Unless it is 0,
	// the others are lower bounds.
	Missed uint64
}

// FrameCounter counts the frames that reach an interface, joined or not. Its
// methods may be called concurrently.
type FrameCounter struct {
	host *Host
	sock *socket
	keep func(frame []byte) bool
	done chan struct{}

	mu    sync.Mutex
	count FrameCount
}

// CountFrames starts to count the frames that arrive on an interface of the host
// and that keep accepts; nil accepts all. keep sees a frame without a VLAN tag
// that the kernel took out, and must not keep it. The host closes the counter
// when it goes.
func (h *Host) CountFrames(iface string, keep func(frame []byte) bool) (*FrameCounter, error) {
	iface = cmp.Or(iface, h.Interface)
	sock, err := openPacketSocket(h.ns, iface)
	if err != nil {
		return nil, fmt.Errorf("count frames on %s of host %s: %w", iface, h.Name, err)
	}
	f := &FrameCounter{host: h, sock: sock, keep: keep, done: make(chan struct{})}
	// The header in front of each frame tells the segments of a super-packet.
	err = sock.control(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1) })
	if err != nil {
		return nil, errors.Join(fmt.Errorf("count frames on %s of host %s: %w", iface, h.Name, err), sock.file.Close())
	}
	go f.run()
	return f, h.adopt(f)
}

// Count returns the counts so far. Frames that arrived a moment ago may be
// missing: see Net.WaitQuiet.
func (f *FrameCounter) Count() FrameCount {
	var missed uint64
	err := f.sock.control(func(fd int) error {
		stats, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err == nil {
			missed = uint64(stats.Drops) // since the last call
		}
		return err
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.count.Missed += missed
	}
	return f.count
}

// Close stops counting; the counts stay readable. Calling it again does nothing.
func (f *FrameCounter) Close() error {
	f.Count()
	f.host.disown(f)
	err := f.sock.file.Close()
	<-f.done
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

func (f *FrameCounter) run() {
	defer close(f.done)
	for {
		var batch *recvBatch
		var n int
		err := f.sock.read(func(fd int) (err error) {
			batch = recvBatches.Get().(*recvBatch)
			n, err = batch.receive(fd)
			if err != nil {
				recvBatches.Put(batch)
			}
			return err
		})
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return // closed, or the interface went
		}
		f.mu.Lock()
		for i := range n {
			f.add(batch.payload(i))
		}
		f.mu.Unlock()
		recvBatches.Put(batch)
	}
}

// vnetHeaderLen is the size of struct virtio_net_hdr.
const vnetHeaderLen = 10

func (f *FrameCounter) add(b []byte) {
	if len(b) < vnetHeaderLen {
		return
	}
	header, frame := b[:vnetHeaderLen], b[vnetHeaderLen:]
	if f.keep != nil && !f.keep(frame) {
		return
	}
	f.count.Frames++
	f.count.Bytes += uint64(len(frame))
	f.count.Datagrams += uint64(datagramsIn(header, len(frame)))
}

// datagramsIn returns how many UDP datagrams a frame holds.
func datagramsIn(header []byte, size int) int {
	const (
		needsChecksum = 1 // VIRTIO_NET_HDR_F_NEEDS_CSUM; the kernel's super-packets always do
		gsoUDP        = 5 // VIRTIO_NET_HDR_GSO_UDP_L4
		udpHeaderLen  = 8
	)
	segment := int(binary.NativeEndian.Uint16(header[4:]))
	if header[0]&needsChecksum == 0 || header[1] != gsoUDP || segment == 0 {
		return 1
	}
	// The field for the length of the headers holds something else on receipt;
	// the checksum starts where the UDP header does.
	payload := size - int(binary.NativeEndian.Uint16(header[6:])) - udpHeaderLen
	return max(1, (payload+segment-1)/segment)
}
