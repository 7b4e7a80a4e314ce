package redact

import (
	"net/netip"
	"strconv"

	"github.com/fanlight-io/fanlight/bpf"
)

// treatment is what a rule, or the profile, does with one class of values,
// under one key. Not safe for concurrent use.
type treatment struct {
	action    action
	addresses *memo[netip.Addr, string] // these three: nil if the class has no such values, or is dropped
	macs      *memo[bpf.MAC, string]
	names     *memo[string, string] // nil also if names are kept
	step      uint64                // of action bucket
	number    uint64                // of action replace
}

// parameters are what actions need besides the value.
type parameters struct {
	mask   Mask
	bucket Bucket
	with   string
}

func newTreatment(do action, class Class, with parameters, key *ringKey, limit int) (*treatment, error) {
	t := &treatment{action: do}
	address, mac, name, err := renderers(do, class, with, key)
	if err != nil {
		return nil, err
	}
	switch {
	case class.isAddress() && address != nil:
		t.addresses = newMemo(limit, address)
	case class.isMAC() && mac != nil:
		t.macs = newMemo(limit, mac)
	case class.isName() && name != nil:
		t.names = newMemo(limit, name)
	case class == Counter:
		t.step = with.bucket.Count
		t.number, _ = strconv.ParseUint(with.with, 10, 64) // was validated
	case class == Time:
		t.step = uint64(with.bucket.Time)
	}
	return t, nil
}

// renderers are the ways from values to text.
func renderers(do action, class Class, with parameters, key *ringKey) (
	address func(netip.Addr) string, mac func(bpf.MAC) string, name func(string) string, err error) {
	switch do {
	case keep:
		return netip.Addr.String, macText, nil, nil
	case mask:
		m := with.mask
		return func(a netip.Addr) string { return maskAddress(a, m, class) },
			func(v bpf.MAC) string { zeroBits(v[:], bitsLeft(m.MAC, 24), keepNone); return macText(v) }, nil, nil
	case prefixPreserving:
		c, err := newMapper(key.secret, class)
		if err != nil {
			return nil, nil, nil, err
		}
		return func(a netip.Addr) string { return c.address(a).String() },
			func(v bpf.MAC) string { c.hide(v[:], keepsCast); return macText(v) }, nil, nil
	case pseudonym:
		t, err := newTokens(key.secret, key.id, class)
		if err != nil {
			return nil, nil, nil, err
		}
		return func(a netip.Addr) string { return t.make(a.AsSlice()) },
			func(v bpf.MAC) string { return t.make(v[:]) },
			func(s string) string { return t.make([]byte(s)) }, nil
	case replace:
		return func(netip.Addr) string { return with.with }, func(bpf.MAC) string { return with.with },
			func(string) string { return with.with }, nil
	}
	return nil, nil, nil, nil
}

// address maps an address to another of its kind.
func (c *cryptoPAn) address(a netip.Addr) netip.Addr {
	value := a.AsSlice()
	c.hide(value, keepsKind)
	hidden, _ := netip.AddrFromSlice(value)
	return hidden
}

// maskAddress cuts an address to a prefix. A group stays a group of its kind.
func maskAddress(a netip.Addr, m Mask, class Class) string {
	value, keeps := a.AsSlice(), keeper(keepNone)
	if class == Group {
		keeps = keepsKind
	}
	left := bitsLeft(m.V6, 48)
	if a.Is4() {
		left = bitsLeft(m.V4, 24)
	}
	zeroBits(value, left, keeps)
	cut, _ := netip.AddrFromSlice(value)
	return cut.String()
}

func bitsLeft(configured *int, normal int) int {
	if configured == nil {
		return normal
	}
	return *configured
}

func zeroBits(value []byte, left int, keeps keeper) {
	original := append(make([]byte, 0, 16), value...)
	for bit := left; bit < 8*len(value); bit++ {
		if !keeps(original, bit) {
			value[bit/8] &^= 0x80 >> (bit % 8)
		}
	}
}

// roundDown returns n as a multiple of the step.
func roundDown(n, step uint64) uint64 { return n - n%step }

// name returns the text for a name; ok is false if it is dropped.
func (t *treatment) name(s string) (text string, ok bool) {
	switch {
	case t.action == keep:
		return s, true
	case t.names == nil || s == "":
		return "", false
	}
	return t.names.get(s), true
}
