package collector

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/snoop"
)

// transmitter sends our queries out of ports. Frames that are sent do not come
// back in at the port's ingress, so they are never counted as traffic.
type transmitter struct {
	fd  int
	buf []byte
}

// newTransmitter opens the socket; the thread must be in the ports' namespace.
func newTransmitter() (*transmitter, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket (needs CAP_NET_RAW): %w", err)
	}
	return &transmitter{fd: fd}, nil
}

const (
	etherTypeOffset = 12
	tpidCustomer    = 0x8100
	tpidService     = 0x88a8
)

// send puts the VLAN's tags into the frame and sends it.
func (t *transmitter) send(f snoop.Transmit) error {
	t.buf = append(t.buf[:0], f.Frame[:etherTypeOffset]...)
	outer, inner := uint16(f.VLAN>>16), uint16(f.VLAN)
	if outer != 0 {
		tpid := uint16(tpidCustomer)
		if inner != 0 {
			tpid = tpidService
		}
		t.buf = binary.BigEndian.AppendUint16(t.buf, tpid)
		t.buf = binary.BigEndian.AppendUint16(t.buf, outer)
	}
	if inner != 0 {
		t.buf = binary.BigEndian.AppendUint16(t.buf, tpidCustomer)
		t.buf = binary.BigEndian.AppendUint16(t.buf, inner)
	}
	t.buf = append(t.buf, f.Frame[etherTypeOffset:]...)
	to := unix.SockaddrLinklayer{Ifindex: int(f.Port)}
	if err := unix.Sendto(t.fd, t.buf, 0, &to); err != nil {
		return fmt.Errorf("send query: %w", err)
	}
	return nil
}

func (t *transmitter) Close() error { return unix.Close(t.fd) }
