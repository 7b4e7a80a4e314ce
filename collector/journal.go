package collector

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/snoop"
)

// What the journal keeps of a member, little endian: mode, protocol, number of
// sources (16 bits), older until, joined, expires (64 bits each), then for each
// source 16 bytes of address and its expiry.
const (
	memberHeader = 4 + 3*8
	memberSource = 16 + 8
)

var errBadMember = errors.New("journal: bad member state")

func encodeMember(s snoop.MemberState) []byte {
	b := make([]byte, 0, memberHeader+len(s.Sources)*memberSource)
	b = append(b, byte(s.Mode), byte(s.Protocol))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(s.Sources)))
	for _, d := range []time.Duration{s.OlderUntil, s.Joined, s.Expires} {
		b = binary.LittleEndian.AppendUint64(b, uint64(d))
	}
	for _, src := range s.Sources {
		a := src.Address.As16()
		b = append(b, a[:]...)
		b = binary.LittleEndian.AppendUint64(b, uint64(src.Expires))
	}
	return b
}

func decodeMember(b []byte) (snoop.MemberState, error) {
	var s snoop.MemberState
	if len(b) < memberHeader {
		return s, errBadMember
	}
	s.Mode, s.Protocol = snoop.FilterMode(b[0]), snoop.Protocol(b[1])
	n := int(binary.LittleEndian.Uint16(b[2:]))
	at := func(i int) time.Duration { return time.Duration(binary.LittleEndian.Uint64(b[i:])) }
	s.OlderUntil, s.Joined, s.Expires = at(4), at(12), at(20)
	if len(b) < memberHeader+n*memberSource {
		return s, errBadMember
	}
	for i := range n {
		o := memberHeader + i*memberSource
		s.Sources = append(s.Sources, snoop.SourceState{
			Address: netip.AddrFrom16([16]byte(b[o : o+16])).Unmap(),
			Expires: at(o + 16),
		})
	}
	return s, nil
}

// keepMembers writes what changed of the domain's members, and returns how many
// found no room. It goes on after an error.
func (d *domain) keepMembers(j *bpf.Journal) (refused int, err error) {
	var errs []error
	for _, k := range d.table.TakeChangedMembers() {
		key := bpf.MemberKey{GroupKey: d.key(k.GroupKey), Port: uint32(k.Port)}
		s, ok := d.table.Snapshot(k.GroupKey, k.Port)
		if !ok {
			errs = append(errs, j.Delete(key))
			continue
		}
		if err := j.Put(key, encodeMember(s)); errors.Is(err, bpf.ErrTableFull) {
			refused++
		} else {
			errs = append(errs, err)
		}
	}
	return refused, errors.Join(errs...)
}
