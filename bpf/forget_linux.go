package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// DeleteDomain makes the number free for another domain: nothing that the
// domain counted is left to be taken for the other one's. Its ports must be gone.
func (t *Tables) DeleteDomain(id uint32) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for k := range t.groups {
		if k.Domain == id {
			errs = append(errs, t.deleteGroup(k))
		}
	}
	for k := range t.segments {
		if k.Domain == id {
			errs = append(errs, t.deleteSegment(k))
		}
	}
	if err := t.maps["domains"].Put(id, wireDomain{}); err != nil {
		errs = append(errs, fmt.Errorf("delete domain %d: %w", id, err))
	}
	t.pool.retire(t.floods[id]...)
	delete(t.floods, id)
	errs = append(errs, t.setAllow(id, nil))
	for k, g := range t.pairs.groups {
		if k.Domain != id {
			continue
		}
		for port := range g.slots {
			errs = append(errs, t.pairs.remove(k, g, port))
		}
	}
	// Packets that were on their way may count until here.
	t.pool.grace()
	return errors.Join(append(errs,
		deleteWhere(t.maps["streams"], func(k *wireFlowKey, _ *wireStream) bool { return k.Domain == id }),
		deleteWhere(t.maps["drops"], func(k *wireDropKey, _ *wireTally) bool { return k.Domain == id }),
		deleteWhere(t.maps["copy_failures"], func(k *wireFailureKey, _ *wireTally) bool { return k.Domain == id }),
	)...)
}

// deleteWhere deletes the entries that are as wanted.
func deleteWhere[K, V any](m *ebpf.Map, wanted func(*K, *V) bool) error {
	var keys []K
	err := forEach(m, func(k *K, v *V) {
		if wanted(k, v) {
			keys = append(keys, *k)
		}
	})
	if err != nil {
		return err
	}
	for i := range keys {
		if err := deleteKey(m, &keys[i]); err != nil {
			return fmt.Errorf("delete entry: %w", err)
		}
	}
	return nil
}

// ResetPort zeroes the counters at a port's index, which another port had
// before. Do it before SetPort.
func (t *Tables) ResetPort(index uint32) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	if err := t.maps["port_stats"].Put(index, make([]wirePortStats, cpus)); err != nil {
		return fmt.Errorf("reset counters of port index %d: %w", index, err)
	}
	return nil
}

// Reclaim gives up the counters of every pair that nothing is forwarded to any
// more, and returns how many there were: those of members that left stay until
// somebody needs the room.
func (t *Tables) Reclaim() (n int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for k, g := range t.pairs.groups {
		if !k.Group.IsValid() {
			continue // what is flooded
		}
		st := t.groups[k]
		for port := range g.slots {
			if st != nil && st.ports[port] {
				continue
			}
			errs = append(errs, t.pairs.remove(k, g, port))
			n++
		}
	}
	return n, errors.Join(errs...)
}
