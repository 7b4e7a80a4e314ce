package doctor

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	snapLen = 512 // bytes of a frame: all headers, and many records of a report
	// netOffset makes a filter count from the network header, whatever lies in
	// front of it (SKF_NET_OFF).
	netOffset = 0xfff00000
	recvBuf   = 16 << 20
	idleWait  = 20 * time.Millisecond
)

// capture is one socket that sees copies of packets. Nothing on the host changes
// by it: it neither joins nor sets an interface promiscuous. It takes in packets
// from start to stop, and reads them in between and after.
type capture struct {
	fd      int
	filter  []bpf.Instruction
	handle  func(data, oob []byte, from unix.Sockaddr)
	stopped atomic.Bool
}

// nothing is the filter of a capture that has not started, or has stopped.
var nothing = []bpf.Instruction{bpf.RetConstant{}}

func (c *capture) start() error { return attach(c.fd, c.filter) }

func (c *capture) stop() error {
	err := attach(c.fd, nothing)
	c.stopped.Store(true)
	return err
}

// openWire sees the group's packets and IGMP or MLD, on all interfaces of the
// thread's namespace, in and out, before and after the rest of the kernel.
func openWire(w *watch) (*capture, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
		prepare(fd),
	)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a packet socket: %w", err), unix.Close(fd))
	}
	return &capture{fd: fd, filter: wireFilter(w.group), handle: func(data, oob []byte, from unix.Sockaddr) {
		if f, ok := frameOf(data, oob, from); ok {
			w.add(f, time.Now())
		}
	}}, nil
}

// openDelivery sees the UDP packets of the group that got through the IP layer:
// past reverse-path filter, memberships, firewall and reassembly.
func openDelivery(w *watch) (*capture, error) {
	return openRaw(w.group, unix.IPPROTO_UDP, deliveryFilter(w.group), func(index int, p *packet) {
		p.offset, p.more = 0, false // whole by now, whatever the header says
		w.addToStream(frame{index: index}, p)
	})
}

// openQueries sees the queries that got through the IP layer.
func openQueries(w *watch) (*capture, error) {
	protocol := unix.IPPROTO_IGMP
	if w.group.Is6() {
		protocol = unix.IPPROTO_ICMPV6
	}
	return openRaw(w.group, protocol, []bpf.Instruction{bpf.RetConstant{Val: snapLen}}, func(index int, p *packet) {
		p.proto = uint8(protocol)
		w.addQuery(p, index, false)
	})
}

// openRaw opens a raw socket. It gets copies of what comes for a protocol, and
// joins nothing.
func openRaw(group netip.Addr, protocol int, filter []bpf.Instruction, handle func(index int, p *packet)) (*capture, error) {
	domain, level, option := unix.AF_INET, unix.IPPROTO_IP, unix.IP_PKTINFO
	if group.Is6() {
		domain, level, option = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("open a raw socket: %w", err)
	}
	err = errors.Join(unix.SetsockoptInt(fd, level, option, 1), prepare(fd))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a raw socket: %w", err), unix.Close(fd))
	}
	return &capture{fd: fd, filter: filter, handle: func(data, oob []byte, from unix.Sockaddr) {
		if p, ok := rawPacket(data, from, group); ok {
			handle(arrivalIndex(oob), &p)
		}
	}}, nil
}

// rawPacket reads a packet of a raw socket. IPv4 has its header in front, IPv6
// has none.
func rawPacket(data []byte, from unix.Sockaddr, group netip.Addr) (p packet, ok bool) {
	switch at := from.(type) {
	case *unix.SockaddrInet4:
		return parseIPv4(data)
	case *unix.SockaddrInet6:
		return packet{src: netip.AddrFrom16(at.Addr), dst: group, proto: unix.IPPROTO_UDP, payload: data}, true
	}
	return p, false
}

func prepare(fd int) error {
	idle := unix.NsecToTimeval(int64(idleWait))
	err := errors.Join(attach(fd, nothing), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &idle))
	if err != nil {
		return err
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, recvBuf) == nil {
		return nil
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, recvBuf) // as much as the host allows
}

func attach(fd int, program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return fmt.Errorf("assemble filter: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

// toGroup jumps to yes if the packet goes to the group, else past the end.
func toGroup(group netip.Addr) (program []bpf.Instruction) {
	at := uint32(16)
	if group.Is6() {
		at = 24
	}
	words := group.AsSlice()
	for i := 0; i < len(words); i += 4 {
		program = append(program,
			bpf.LoadAbsolute{Off: netOffset + at + uint32(i), Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(words[i:]), SkipFalse: uint8(2*(len(words)-i)/4 - 1)})
	}
	return append(program, bpf.RetConstant{Val: snapLen})
}

func deliveryFilter(group netip.Addr) []bpf.Instruction {
	return append(toGroup(group), bpf.RetConstant{})
}

// wireFilter keeps the group, and what may be a message about it.
func wireFilter(group netip.Addr) []bpf.Instruction {
	ethertype, protocolAt, protocol := uint32(unix.ETH_P_IP), uint32(9), uint32(unix.IPPROTO_IGMP)
	if group.Is6() {
		ethertype, protocolAt, protocol = unix.ETH_P_IPV6, 6, unix.IPPROTO_HOPOPTS // MLD has a router alert
	}
	program := []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtProto},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: ethertype, SkipTrue: 1},
		bpf.RetConstant{},
	}
	program = append(program, toGroup(group)...)
	return append(program,
		bpf.LoadAbsolute{Off: netOffset + protocolAt, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocol, SkipTrue: 1},
		bpf.RetConstant{},
		bpf.RetConstant{Val: snapLen})
}

// run reads until the capture has stopped and nothing waits any more.
func (c *capture) run() {
	data, oob := make([]byte, snapLen), make([]byte, 256)
	for {
		last := c.stopped.Load() // before the read: what came until then is read
		n, oobn, _, from, err := unix.Recvmsg(c.fd, data, oob, 0)
		switch {
		case err == nil:
			c.handle(data[:n], oob[:oobn], from)
		case errors.Is(err, unix.EAGAIN) && last:
			return
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ENETDOWN):
			return
		}
	}
}

// missed returns how many packets there was no room for.
func (c *capture) missed() uint64 {
	if stats, err := unix.GetsockoptTpacketStats(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		return uint64(stats.Drops)
	}
	memory := make([]byte, 4*(memoryDrops+1))
	if _, err := getsockopt(c.fd, unix.SOL_SOCKET, unix.SO_MEMINFO, memory); err != nil {
		return 0
	}
	return uint64(binary.NativeEndian.Uint32(memory[4*memoryDrops:]))
}

// etherHeader is the length of an Ethernet header.
const etherHeader = 14

// frameOf reads a frame, its direction and the tag that the kernel took out of it.
func frameOf(data, oob []byte, from unix.Sockaddr) (f frame, ok bool) {
	at, ok := from.(*unix.SockaddrLinklayer)
	if !ok {
		return f, false
	}
	f = frame{index: at.Ifindex, vlan: tagOf(oob), outgoing: at.Pkttype == unix.PACKET_OUTGOING, foreign: at.Pkttype == unix.PACKET_OTHERHOST, ip: data}
	switch at.Hatype {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
	default:
		return f, true // no header, as on a tunnel
	}
	if len(data) < etherHeader {
		return f, false
	}
	f.mac, f.ip = data[:6], data[etherHeader:]
	if t := binary.BigEndian.Uint16(data[12:]); (t == unix.ETH_P_8021Q || t == unix.ETH_P_8021AD) && len(f.ip) >= 4 {
		f.vlan, f.ip = binary.BigEndian.Uint16(f.ip)&0xfff, f.ip[4:]
	}
	if f.vlan != 0 {
		f.foreign = false // the kernel calls tagged frames foreign if nobody takes the tag out
	}
	return f, true
}

// tagOf returns the VLAN in struct tpacket_auxdata, or 0.
func tagOf(oob []byte) uint16 {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < 18 {
			continue
		}
		if binary.NativeEndian.Uint32(m.Data)&unix.TP_STATUS_VLAN_VALID != 0 {
			return binary.NativeEndian.Uint16(m.Data[16:]) & 0xfff
		}
	}
	return 0
}

// arrivalIndex reads struct in_pktinfo or in6_pktinfo.
func arrivalIndex(oob []byte) int {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= 4:
			return int(binary.NativeEndian.Uint32(m.Data))
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 20:
			return int(binary.NativeEndian.Uint32(m.Data[16:]))
		}
	}
	return 0
}

// sortedStreams puts the busiest first, so that reports are the same each time.
func sortedStreams(list []Stream) []Stream {
	slices.SortFunc(list, func(a, b Stream) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.Index, b.Index), a.Source.Compare(b.Source), cmp.Compare(a.Port, b.Port))
	})
	return list
}
