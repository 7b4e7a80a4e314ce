package observe

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// membership is a group that this host joined on an interface.
type membership struct {
	ifindex uint32
	group   netip.Addr
	users   uint64 // sockets and other users; of those of one socket each counts
	include []netip.Addr
	exclude []netip.Addr
}

// The files of /proc/net that tell memberships. They have no common form, and
// addresses in three notations (net/ipv4/igmp.c, net/ipv6/mcast.c).

// parseIGMP reads /proc/net/igmp: a line for each interface, and below it, with
// tabs in front, one for each group. Addresses are numbers in the host's order.
func parseIGMP(b []byte) (all []membership, err error) {
	var ifindex uint32
	for n, line := range numbered(b) {
		if line[0] != '\t' {
			index, _, _ := strings.Cut(line, "\t")
			if ifindex, err = parseIndex(index); err != nil {
				return all, fmt.Errorf("igmp, line %d: %w", n, err)
			}
			continue
		}
		f := strings.Fields(line)
		if len(f) < 2 || ifindex == 0 {
			return all, fmt.Errorf("igmp, line %d: %d fields", n, len(f))
		}
		raw, err := strconv.ParseUint(f[0], 16, 32)
		if err != nil {
			return all, fmt.Errorf("igmp, line %d: %w", n, err)
		}
		users, err := strconv.ParseUint(f[1], 10, 64)
		if err != nil {
			return all, fmt.Errorf("igmp, line %d: %w", n, err)
		}
		var a [4]byte
		binary.NativeEndian.PutUint32(a[:], uint32(raw))
		all = append(all, membership{ifindex: ifindex, group: netip.AddrFrom4(a), users: users})
	}
	return all, nil
}

// parseIGMP6 reads /proc/net/igmp6: index, device, group, users and more.
func parseIGMP6(b []byte) (all []membership, err error) {
	for n, line := range numbered(b) {
		f := strings.Fields(line)
		if len(f) < 4 {
			return all, fmt.Errorf("igmp6, line %d: %d fields", n, len(f))
		}
		m := membership{}
		if m.ifindex, err = parseIndex(f[0]); err == nil {
			m.group, err = parseAddr6(f[2])
		}
		if err == nil {
			m.users, err = strconv.ParseUint(f[3], 10, 64)
		}
		if err != nil {
			return all, fmt.Errorf("igmp6, line %d: %w", n, err)
		}
		all = append(all, m)
	}
	return all, nil
}

// sourceFilter is a source that somebody on this host wants, or does not.
type sourceFilter struct {
	ifindex       uint32
	group, source netip.Addr
	include       uint64 // users that want it
	exclude       uint64 // users that want all but it
}

// parseFilter reads /proc/net/mcfilter or, with parseAddr6, mcfilter6: index,
// device (cut to six characters), group, source, users that include and that
// exclude it.
func parseFilter(b []byte, parse func(string) (netip.Addr, error)) (all []sourceFilter, err error) {
	for n, line := range numbered(b) {
		f := strings.Fields(line)
		if len(f) > 0 && f[0] == "Idx" {
			continue
		}
		if len(f) < 6 {
			return all, fmt.Errorf("mcfilter, line %d: %d fields", n, len(f))
		}
		var s sourceFilter
		if s.ifindex, err = parseIndex(f[0]); err == nil {
			s.group, err = parse(f[2])
		}
		if err == nil {
			s.source, err = parse(f[3])
		}
		if err == nil {
			s.include, err = strconv.ParseUint(f[4], 10, 64)
		}
		if err == nil {
			s.exclude, err = strconv.ParseUint(f[5], 10, 64)
		}
		if err != nil {
			return all, fmt.Errorf("mcfilter, line %d: %w", n, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// numbered yields the lines that are not empty, but for a heading.
func numbered(b []byte) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range bytes.Lines(b) {
			n++
			text := strings.TrimRight(string(line), "\n")
			if strings.TrimSpace(text) == "" || strings.HasPrefix(text, "Idx") {
				continue
			}
			if !yield(n, text) {
				return
			}
		}
	}
}

func parseIndex(s string) (uint32, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 32)
	return uint32(n), err
}

// parseHex4 reads 0x and eight digits, in network order.
func parseHex4(s string) (netip.Addr, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "0x"), 16, 32)
	if err != nil {
		return netip.Addr{}, err
	}
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], uint32(n))
	return netip.AddrFrom4(a), nil
}

// parseAddr6 reads 32 digits.
func parseAddr6(s string) (netip.Addr, error) {
	b, err := hex.DecodeString(s)
	if err != nil {
		return netip.Addr{}, err
	}
	if len(b) != 16 {
		return netip.Addr{}, fmt.Errorf("an address of %d bytes", len(b))
	}
	return netip.AddrFrom16([16]byte(b)), nil
}

// addFilters gives the memberships their source lists.
func addFilters(all []membership, filters []sourceFilter) {
	place := make(map[hostKey]*membership, len(all))
	for i := range all {
		place[hostKey{all[i].ifindex, all[i].group}] = &all[i]
	}
	for _, f := range filters {
		m := place[hostKey{f.ifindex, f.group}]
		switch {
		case m == nil: // left meanwhile
		case f.include > 0:
			m.include = append(m.include, f.source)
		case f.exclude > 0:
			m.exclude = append(m.exclude, f.source)
		}
	}
}

type hostKey struct {
	ifindex uint32
	group   netip.Addr
}
