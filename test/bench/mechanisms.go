package main

import (
	"context"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/lab"
)

// installNothing leaves the switch to the sink at the source's port.
func installNothing(context.Context, *fabric) error { return nil }

// installBridge makes the switch a Linux bridge that learns the groups by IGMP.
func installBridge(fanouts []int) func(context.Context, *fabric) error {
	return func(ctx context.Context, f *fabric) error {
		const forever = time.Hour
		bridge, err := f.net.Bridge(ctx, lab.BridgeConfig{
			Snooping: true, Querier: true, IGMPVersion: 2, QueryInterval: forever, MembershipTime: forever,
		})
		if err != nil {
			return err
		}
		members := 0
		for i, h := range f.sinks {
			joined, err := h.Memberships("")
			if err != nil {
				return err
			}
			for _, fanout := range fanouts {
				if i >= fanout {
					continue
				}
				members++
				if err := joined.Join(groupOf(fanout)); err != nil {
					return err
				}
			}
		}
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		_, err = bridge.WaitMDB(ctx, func(entries []lab.MDBEntry) bool {
			n := 0
			for _, e := range entries {
				if slices.ContainsFunc(fanouts, func(fanout int) bool { return e.Group == groupOf(fanout) }) {
					n++
				}
			}
			return n == members
		})
		return err
	}
}

// installMirred copies by a chain of tc mirred actions, the last of which gives
// the packet itself away: the cheapest that tc can do.
func installMirred(fanouts []int) func(context.Context, *fabric) error {
	return func(_ context.Context, f *fabric) error {
		h := f.net.Switch().Handle()
		if err := h.QdiscAdd(clsact(int(f.ingress))); err != nil {
			return fmt.Errorf("add clsact: %w", err)
		}
		for _, fanout := range fanouts {
			var actions []netlink.Action
			for _, port := range f.ports[:fanout] {
				a := netlink.NewMirredAction(int(port))
				a.MirredAction, a.ActionAttrs.Action = netlink.TCA_EGRESS_MIRROR, netlink.TC_ACT_PIPE
				actions = append(actions, a)
			}
			actions[fanout-1] = netlink.NewMirredAction(int(f.ports[fanout-1]))
			group := groupOf(fanout).As4()
			attrs := ingressFilter(int(f.ingress))
			attrs.Protocol = unix.ETH_P_IP
			filter := &netlink.U32{
				FilterAttrs: attrs,
				Sel: &netlink.TcU32Sel{
					Flags: nl.TC_U32_TERMINAL,
					Keys: []netlink.TcU32Key{{
						Mask: 0xffffffff, Off: 16, // destination, from the IP header on
						Val: uint32(group[0])<<24 | uint32(group[1])<<16 | uint32(group[2])<<8 | uint32(group[3]),
					}},
				},
				Actions: actions,
			}
			if err := h.FilterAdd(filter); err != nil {
				return fmt.Errorf("add filter with %d actions: %w", fanout, err)
			}
		}
		return nil
	}
}

// Options and structures of linux/mroute.h.
const (
	mrtInit       = 200
	mrtAddVIF     = 202
	mrtAddMFC     = 204
	vifUseIfindex = 0x8
	maxVIFs       = 32
)

type vifctl struct {
	index     uint16
	flags     uint8
	threshold uint8
	_         uint32 // rate limit
	ifindex   int32
	_         [4]byte // tunnel's end
}

type mfcctl struct {
	origin, group [4]byte
	_             uint16 // interface 0 is where it comes in
	ttls          [maxVIFs]uint8
	_             [18]byte // counters
}

// installMroute routes by the kernel's multicast routing, with static entries.
func installMroute(fanouts []int) func(context.Context, *fabric) error {
	return func(_ context.Context, f *fabric) error {
		return f.net.Switch().Do(func() error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_IGMP)
			if err != nil {
				return fmt.Errorf("open routing socket: %w", err)
			}
			f.closers = append(f.closers, func() error { return unix.Close(fd) })
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, mrtInit, 1); err != nil {
				return fmt.Errorf("start multicast routing: %w", err)
			}
			for i, port := range append([]uint32{f.ingress}, f.ports...) {
				vif := vifctl{index: uint16(i), flags: vifUseIfindex, threshold: 1, ifindex: int32(port)}
				if err := setStruct(fd, mrtAddVIF, &vif); err != nil {
					return fmt.Errorf("add virtual interface %d: %w", i, err)
				}
			}
			for _, fanout := range fanouts {
				route := mfcctl{origin: f.source.Addr4.As4(), group: groupOf(fanout).As4()}
				for i := range fanout {
					route.ttls[1+i] = 1
				}
				if err := setStruct(fd, mrtAddMFC, &route); err != nil {
					return fmt.Errorf("add route to %d ports: %w", fanout, err)
				}
			}
			return nil
		})
	}
}

func setStruct[T any](fd, option int, value *T) error {
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.IPPROTO_IP, uintptr(option),
		uintptr(unsafe.Pointer(value)), unsafe.Sizeof(*value), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
