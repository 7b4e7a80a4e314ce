package lab

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// RawConn sends and receives whole Ethernet frames on one interface, past the
// kernel's protocols: forged membership messages, unusual addresses, VLAN tags
// in the frame. Its methods may be called concurrently, but Read by one
// goroutine at a time.
type RawConn struct {
	host  *Host // nil for a connection of a bare namespace
	iface string
	sock  *socket
	keep  func(frame []byte) bool
	data  []byte
	oob   []byte
}

// Raw opens a raw connection on an interface of the host; the empty name means
// eth0. It sees what arrives, not what the host sends. The host closes it when
// it goes.
func (h *Host) Raw(iface string) (*RawConn, error) {
	c, err := h.ns.Raw(cmp.Or(iface, h.Interface))
	if err != nil {
		return nil, err
	}
	c.host = h
	return c, h.adopt(c)
}

// Raw opens a raw connection on an interface of the namespace, such as a port of
// the switch. The caller closes it.
func (ns *Namespace) Raw(iface string) (*RawConn, error) {
	sock, err := openPacketSocket(ns, iface)
	if err != nil {
		return nil, fmt.Errorf("open raw connection on %s in %s: %w", iface, ns.name, err)
	}
	return &RawConn{iface: iface, sock: sock, data: make([]byte, maxMessage), oob: make([]byte, 128)}, nil
}

// openPacketSocket opens a socket that receives the frames that arrive on iface.
func openPacketSocket(ns *Namespace, iface string) (*socket, error) {
	link, err := ns.handle.LinkByName(iface)
	if err != nil {
		return nil, err
	}
	// Protocol 0 receives nothing until bind, so no frame of other interfaces.
	return openSocket(ns, unix.AF_PACKET, unix.SOCK_RAW, 0, func(fd int) error {
		err := errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4<<20),
		)
		if err != nil {
			return fmt.Errorf("set socket options: %w", err)
		}
		// Group addresses that nobody joined must arrive too.
		promisc := unix.PacketMreq{Ifindex: int32(link.Attrs().Index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &promisc); err != nil {
			return fmt.Errorf("set promiscuous: %w", err)
		}
		all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
		return wrap(unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Attrs().Index}), "bind")
	})
}

// Filter makes Read skip the frames that keep refuses; nil keeps all. Call it
// before the first Read.
func (c *RawConn) Filter(keep func(frame []byte) bool) { c.keep = keep }

// Multicast keeps frames to a group address, for Filter and CountFrames.
func Multicast(frame []byte) bool { return len(frame) > 0 && frame[0]&1 != 0 }

// Write sends one frame as it is.
func (c *RawConn) Write(frame []byte) (int, error) {
	err := c.sock.write(func(fd int) error { return retryEINTR(func() error { return unix.Send(fd, frame, unix.MSG_DONTWAIT) }) })
	if err != nil {
		return 0, fmt.Errorf("send frame on %s: %w", c.iface, err)
	}
	return len(frame), nil
}

// WriteBatch sends frames in as few system calls as possible and returns how
// many the kernel took.
func (c *RawConn) WriteBatch(frames [][]byte) (sent int, err error) {
	var batch sendBatch
	for sent < len(frames) {
		var taken int
		part := frames[sent:min(sent+batchLen, len(frames))]
		err := c.sock.write(func(fd int) (err error) {
			taken, err = batch.send(fd, part)
			return err
		})
		sent += taken
		if err != nil && !errors.Is(err, unix.EINTR) {
			return sent, fmt.Errorf("send frames on %s: %w", c.iface, err)
		}
	}
	return sent, nil
}

// SetReadDeadline makes Read return os.ErrDeadlineExceeded from then on; the
// zero time takes it back.
func (c *RawConn) SetReadDeadline(t time.Time) error { return c.sock.file.SetReadDeadline(t) }

// Read waits for a frame that the filter keeps, and returns it. A tag that the
// kernel moved out of the frame is put back. The frame is valid until the next
// Read. Returns os.ErrDeadlineExceeded or ErrClosed.
func (c *RawConn) Read() ([]byte, error) {
	for {
		frame, err := c.read()
		if err != nil {
			return nil, fmt.Errorf("read frame on %s: %w", c.iface, err)
		}
		if c.keep == nil || c.keep(frame) {
			return frame, nil
		}
	}
}

func (c *RawConn) read() ([]byte, error) {
	const room = 4 // for the tag to put back, in front of the frame
	var n, oobn int
	err := c.sock.read(func(fd int) error {
		return retryEINTR(func() (err error) {
			n, oobn, _, _, err = unix.Recvmsg(fd, c.data[room:], c.oob, unix.MSG_DONTWAIT)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	tag, ok := strippedTag(c.oob[:oobn])
	if !ok || n < 12 {
		return c.data[room : room+n], nil
	}
	copy(c.data, c.data[room:room+12])
	copy(c.data[12:], tag[:])
	return c.data[:room+n], nil
}

// sizeofAuxdata is the size of struct tpacket_auxdata.
const sizeofAuxdata = 20

// strippedTag finds the VLAN tag that the kernel keeps beside the frame.
func strippedTag(oob []byte) (tag [4]byte, ok bool) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return tag, false
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA {
			continue
		}
		if len(m.Data) < sizeofAuxdata {
			continue
		}
		status := binary.NativeEndian.Uint32(m.Data)
		if status&unix.TP_STATUS_VLAN_VALID == 0 {
			return tag, false
		}
		tci, protocol := binary.NativeEndian.Uint16(m.Data[16:]), uint16(unix.ETH_P_8021Q)
		if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
			protocol = binary.NativeEndian.Uint16(m.Data[18:])
		}
		binary.BigEndian.PutUint16(tag[:], protocol)
		binary.BigEndian.PutUint16(tag[2:], tci)
		return tag, true
	}
	return tag, false
}

// Close closes the connection and unblocks Read. Calling it again does nothing.
func (c *RawConn) Close() error {
	if c.host != nil {
		c.host.disown(c)
	}
	err := c.sock.file.Close()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

func retryEINTR(op func() error) error {
	for {
		if err := op(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
