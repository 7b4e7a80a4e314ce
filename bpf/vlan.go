package bpf

import (
	"fmt"
	"strconv"
	"strings"
)

// maxVLANID is the highest id of IEEE 802.1Q; 4095 is reserved.
const maxVLANID = 4094

// ParseVLAN reads what [VLAN.String] writes: "", "100" or "100.7".
func ParseVLAN(s string) (VLAN, error) {
	if s == "" {
		return 0, nil
	}
	outer, inner, double := strings.Cut(s, ".")
	ids := [2]uint16{}
	for i, text := range []string{outer, inner} {
		if i == 1 && !double {
			break
		}
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n < 1 || n > maxVLANID {
			return 0, fmt.Errorf("%q is no VLAN: want an id of 1 to %d, or two with a dot between them", s, maxVLANID)
		}
		ids[i] = uint16(n)
	}
	return MakeVLAN(ids[0], ids[1]), nil
}
