package main

import (
	byteorder "encoding/binary"
	"errors"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/lab"
)

// What linux/netdev.h calls NETDEV_CMD_NAPI_GET and _SET and their attributes.
const (
	cmdNAPIGet, cmdNAPISet            = 11, 14
	napiIfindex, napiID, napiThreaded = 1, 2, 8
	netdevFamilyVersion               = 1
	genericHeader                     = 4
)

// pollByThread makes a kernel thread poll the host's device, which then does not
// hold up the CPU that sends to it. Needs GRO on and Linux 6.17.
func pollByThread(t *testing.T, _ *lab.Net, h *lab.Host) {
	t.Helper()
	err := h.Namespace().Do(func() error {
		family, err := netlink.GenlFamilyGet("netdev")
		if err != nil {
			return err
		}
		at, err := h.Namespace().Handle().LinkByName(h.Interface)
		if err != nil {
			return err
		}
		request := func(cmd uint8, flags int, attrs ...*nl.RtAttr) ([][]byte, error) {
			req := nl.NewNetlinkRequest(int(family.ID), flags)
			req.AddData(&nl.Genlmsg{Command: cmd, Version: netdevFamilyVersion})
			for _, a := range attrs {
				req.AddData(a)
			}
			return req.Execute(unix.NETLINK_GENERIC, 0)
		}
		replies, err := request(cmdNAPIGet, unix.NLM_F_DUMP, nl.NewRtAttr(napiIfindex, nl.Uint32Attr(uint32(at.Attrs().Index))))
		if err != nil {
			return err
		}
		for _, reply := range replies {
			attrs, err := nl.ParseRouteAttr(reply[genericHeader:])
			if err != nil {
				return err
			}
			for _, a := range attrs {
				if a.Attr.Type != napiID {
					continue
				}
				id := byteorder.NativeEndian.Uint32(a.Value)
				_, err := request(cmdNAPISet, unix.NLM_F_ACK, nl.NewRtAttr(napiID, nl.Uint32Attr(id)), nl.NewRtAttr(napiThreaded, nl.Uint32Attr(1)))
				return err
			}
		}
		return errors.New("the device has no NAPI")
	})
	if err != nil {
		t.Skipf("poll %s of host %s by a thread: %v", h.Interface, h.Name, err)
	}
}
