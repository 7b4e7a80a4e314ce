package bpf

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// MemberKey names a member: a port that wants a group.
type MemberKey struct {
	GroupKey
	Port uint32
}

const partSize = 64

// MaxMemberBytes is the longest state of a member that the journal keeps.
const MaxMemberBytes = 255 * (partSize - 1)

// Journal keeps who is a member of what in the kernel, next to the forwarding
// table that it explains, so that an agent that was killed is no loss. States
// are bytes that only the caller understands. Not safe for concurrent use.
type Journal struct {
	members *ebpf.Map
	parts   map[MemberKey]int
}

// Journal returns the journal of d's members.
func (d *Datapath) Journal() (*Journal, map[MemberKey][]byte, error) {
	j := &Journal{members: d.maps["members"], parts: map[MemberKey]int{}}
	pieces := map[MemberKey]map[uint32]wireMemberPart{}
	err := forEach(j.members, func(k *wireMemberKey, v *wireMemberPart) {
		m := MemberKey{GroupKey{Domain: k.Domain, VLAN: VLAN(k.Vlan), Group: fromWire(k.Group)}, k.Ifindex}
		if pieces[m] == nil {
			pieces[m] = map[uint32]wireMemberPart{}
		}
		pieces[m][k.Part] = *v
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read members: %w", err)
	}
	states := map[MemberKey][]byte{}
	for m, parts := range pieces {
		j.parts[m] = len(parts)
		if state, ok := joinParts(parts); ok {
			states[m] = state
		}
	}
	return j, states, nil
}

// joinParts puts a state together. The first byte of part 0 is the number of
// parts; that of a part is how many bytes of it are used, in the others.
func joinParts(parts map[uint32]wireMemberPart) ([]byte, bool) {
	head, ok := parts[0]
	if !ok || int(head.Data[0]) > len(parts) {
		return nil, false // the agent died while it wrote this
	}
	var state []byte
	for i := range uint32(head.Data[0]) {
		p, ok := parts[i]
		if !ok {
			return nil, false
		}
		state = append(state, p.Data[1:]...)
	}
	return state, true
}

// Put keeps the state of a member; it may come back with zeros at its end.
// Returns ErrTableFull.
func (j *Journal) Put(m MemberKey, state []byte) error {
	if len(state) > MaxMemberBytes {
		return fmt.Errorf("member state of %d bytes: %w", len(state), ErrTableFull)
	}
	n := max(1, (len(state)+partSize-2)/(partSize-1))
	key := wireMemberKey{Group: toWire(m.Group), Domain: m.Domain, Vlan: uint32(m.VLAN), Ifindex: m.Port}
	// Part 0 is last: it says how many there are.
	for i := n - 1; i >= 0; i-- {
		var p wireMemberPart
		copy(p.Data[1:], state[min(len(state), i*(partSize-1)):])
		if i == 0 {
			p.Data[0] = byte(n)
		}
		key.Part = uint32(i)
		if err := j.members.Put(key, p); err != nil {
			return fmt.Errorf("keep member: %w", tableError(err))
		}
	}
	return j.trim(m, key, n)
}

// Delete forgets a member.
func (j *Journal) Delete(m MemberKey) error {
	key := wireMemberKey{Group: toWire(m.Group), Domain: m.Domain, Vlan: uint32(m.VLAN), Ifindex: m.Port}
	return j.trim(m, key, 0)
}

// trim deletes the parts from n on.
func (j *Journal) trim(m MemberKey, key wireMemberKey, n int) error {
	for i := n; i < j.parts[m]; i++ {
		key.Part = uint32(i)
		if err := deleteKey(j.members, key); err != nil {
			return fmt.Errorf("forget member: %w", err)
		}
	}
	if j.parts[m] = n; n == 0 {
		delete(j.parts, m)
	}
	return nil
}
