package bpf

import (
	"fmt"
	"hash/fnv"
)

// Port is what the datapath needs to know of a port.
type Port struct {
	Name       string // written only; Ports returns its hash
	NameHash   uint32 // read only
	Domain     uint32
	Index      uint32 // from 1, unique among ports, its counters' place
	HostTagged bool   // the host has VLAN devices on it
	HostRouter bool   // the host wants everything: it routes multicast, or has other devices on it
}

// SetPort tells the datapath of a port; do it before AttachPort.
func (t *Tables) SetPort(ifindex uint32, p Port) error {
	wp := wirePort{Domain: p.Domain, Index: p.Index, NameHash: NameHash(p.Name)}
	if p.HostTagged {
		wp.Flags |= uint32(wirePortFlagsPORT_HOST_TAGGED)
	}
	if p.HostRouter {
		wp.Flags |= uint32(wirePortFlagsPORT_HOST_ROUTER)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ports[ifindex] {
		// Another interface may have had the index before.
		if err := t.foldFailures(func(i uint32) bool { return i == ifindex }); err != nil {
			return err
		}
	}
	if err := t.maps["ports"].Put(ifindex, wp); err != nil {
		return fmt.Errorf("set port %d: %w", ifindex, tableError(err))
	}
	t.ports[ifindex] = true
	return nil
}

// DeletePort forgets a port; do it after DetachPort, and when no list names it
// any more: its places are given to other ports. The counters of its pairs end
// with it.
func (t *Tables) DeletePort(ifindex uint32) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := deleteKey(t.maps["ports"], ifindex); err != nil {
		return fmt.Errorf("delete port %d: %w", ifindex, err)
	}
	delete(t.ports, ifindex)
	return t.pairs.dropPort(ifindex)
}

// NameHash is what tables keep of a port's name.
func NameHash(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32()
}

// Ports returns the ports that the datapath knows.
func (t *Tables) Ports() (map[uint32]Port, error) {
	ports := map[uint32]Port{}
	var ifindex uint32
	var wp wirePort
	it := t.maps["ports"].Iterate()
	for it.Next(&ifindex, &wp) {
		ports[ifindex] = Port{
			NameHash:   wp.NameHash,
			Domain:     wp.Domain,
			Index:      wp.Index,
			HostTagged: wp.Flags&uint32(wirePortFlagsPORT_HOST_TAGGED) != 0,
			HostRouter: wp.Flags&uint32(wirePortFlagsPORT_HOST_ROUTER) != 0,
		}
	}
	return ports, it.Err()
}
