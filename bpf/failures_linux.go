package bpf

import (
	"errors"
	"fmt"
	"maps"

	"github.com/cilium/ebpf"
)

// FailureCount is how many copies for one port were lost for one reason. Port 0
// stands for the ports of the group that are gone, and for those that had no
// room in the table.
type FailureCount struct {
	Key     GroupKey
	Port    uint32
	Reason  CopyFailure
	Packets uint64
	Bytes   uint64
}

// EachFailure calls fn for every (group, port, reason) that has a counter. A
// port that is gone leaves its counts to its groups, so that their sums never go
// back and the next interface with its index inherits nothing.
func (d *Datapath) EachFailure(fn func(FailureCount)) error {
	known := d.Tables.knownPorts()
	gone := map[wireFailureKey]wireTally{}
	err := forEach(d.maps["copy_failures"], func(k *wireFailureKey, v *wireTally) {
		if known[k.Ifindex] {
			fn(failureCount(*k, *v))
			return
		}
		heir := *k
		heir.Ifindex = 0
		gone[heir] = addTallies(gone[heir], *v)
	})
	for k, v := range gone {
		fn(failureCount(k, v))
	}
	return err
}

func failureCount(k wireFailureKey, v wireTally) FailureCount {
	return FailureCount{
		Key:  GroupKey{Domain: k.Domain, VLAN: VLAN(k.Vlan), Group: fromWire(k.Group)},
		Port: k.Ifindex, Reason: CopyFailure(k.Reason), Packets: v.Packets, Bytes: v.Bytes,
	}
}

func addTallies(a, b wireTally) wireTally {
	a.Packets += b.Packets
	a.Bytes += b.Bytes
	return a
}

func (t *Tables) knownPorts() map[uint32]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.ports)
}

// FoldFailures gives the entries of ports that are gone to their groups, which
// makes room.
func (t *Tables) FoldFailures() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.foldFailures(func(ifindex uint32) bool { return !t.ports[ifindex] })
}

// foldFailures folds the entries of the ports that gone picks. Only Go writes
// the entries of port 0 that name a group.
func (t *Tables) foldFailures(gone func(ifindex uint32) bool) error {
	m := t.maps["copy_failures"]
	var keys []wireFailureKey
	err := forEach(m, func(k *wireFailureKey, _ *wireTally) {
		if k.Ifindex != 0 && gone(k.Ifindex) {
			keys = append(keys, *k)
		}
	})
	if err != nil {
		return err
	}
	if len(keys) > 0 {
		t.pool.grace() // packets may still be counting there
	}
	for _, k := range keys {
		var left, sum wireTally
		if err := m.LookupAndDelete(k, &left); errors.Is(err, ebpf.ErrKeyNotExist) {
			continue
		} else if err != nil {
			return fmt.Errorf("take counters of lost copies: %w", err)
		}
		k.Ifindex = 0
		if err := m.Lookup(k, &sum); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read counters of lost copies: %w", err)
		}
		if err := m.Put(k, addTallies(sum, left)); err != nil {
			return fmt.Errorf("keep counters of lost copies: %w", tableError(err))
		}
	}
	return nil
}
