package lab

import (
	"net/netip"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchLen is how many datagrams one system call moves.
const batchLen = 32

// mmsghdr is struct mmsghdr, which golang.org/x/sys/unix lacks.
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

// recvBatch receives up to batchLen datagrams of any size in one system call.
type recvBatch struct {
	headers [batchLen]mmsghdr
	vectors [batchLen]unix.Iovec
	names   [batchLen]unix.RawSockaddrInet6
	buffers [batchLen][]byte
}

// maxDatagram is more than the largest UDP payload; maxMessage has room for
// the headers of a frame too.
const (
	maxDatagram = 1 << 16
	maxMessage  = maxDatagram + 256
)

// recvBatches lends batches, 2 MB each, to receivers while they read: far fewer
// than there are receivers.
var recvBatches = sync.Pool{New: func() any {
	b := new(recvBatch)
	memory := make([]byte, batchLen*maxMessage)
	for i := range batchLen {
		b.buffers[i] = memory[i*maxMessage : (i+1)*maxMessage]
		b.vectors[i].Base = &b.buffers[i][0]
		b.vectors[i].SetLen(maxMessage)
		h := &b.headers[i].header
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
	}
	return b
}}

// receive fills the batch from the socket and returns how many datagrams came.
func (b *recvBatch) receive(fd int) (int, error) {
	for i := range b.headers {
		b.headers[i].header.Namelen = unix.SizeofSockaddrInet6
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[0])),
		batchLen, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func (b *recvBatch) payload(i int) []byte { return b.buffers[i][:b.headers[i].length] }

func (b *recvBatch) from(i int) netip.AddrPort {
	name := &b.names[i]
	if name.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), hostOrder(v4.Port))
	}
	return netip.AddrPortFrom(netip.AddrFrom16(name.Addr), hostOrder(name.Port))
}

// hostOrder undoes the network order of a port that was read as a native number.
func hostOrder(port uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&port))
	return uint16(b[0])<<8 | uint16(b[1])
}

// sendBatch sends up to batchLen messages to one destination.
type sendBatch struct {
	headers [batchLen]mmsghdr
	vectors [batchLen]unix.Iovec
}

// send sends the messages of a connected socket and returns how many went out.
func (b *sendBatch) send(fd int, messages [][]byte) (int, error) {
	for i, m := range messages {
		b.vectors[i].Base = unsafe.SliceData(m)
		b.vectors[i].SetLen(len(m))
		h := &b.headers[i].header
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
	}
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[0])),
		uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// socketDrops returns how many datagrams the kernel dropped at a full socket.
func socketDrops(fd int) (uint64, error) {
	const drops, fields = 8, 9 // SK_MEMINFO_DROPS, SK_MEMINFO_VARS
	var info [fields]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0, errno
	}
	return uint64(info[drops]), nil
}
