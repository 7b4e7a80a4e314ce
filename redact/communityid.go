package redact

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
)

// CommunityID returns the flow hash of that name, version 1, of a protocol with
// ports, the same for both directions. The hash has no key and is undone by
// trying all addresses: give it redacted addresses only. It returns "" if they
// are not of one family, as when a policy made pseudonyms of them.
func CommunityID(seed uint16, protocol uint8, source, destination netip.AddrPort) string {
	a, b := plain(source.Addr()), plain(destination.Addr())
	if !a.IsValid() || a.BitLen() != b.BitLen() {
		return ""
	}
	from, to := endpoint(a, source.Port()), endpoint(b, destination.Port())
	if bytes.Compare(from, to) > 0 {
		from, to = to, from
	}
	size := len(from) - 2
	tuple := binary.BigEndian.AppendUint16(make([]byte, 0, 2*len(from)+4), seed)
	tuple = append(append(tuple, from[:size]...), to[:size]...)
	tuple = append(tuple, protocol, 0)
	tuple = append(append(tuple, from[size:]...), to[size:]...)
	sum := sha1.Sum(tuple)
	return "1:" + base64.StdEncoding.EncodeToString(sum[:])
}

func endpoint(a netip.Addr, port uint16) []byte {
	return binary.BigEndian.AppendUint16(a.AsSlice(), port)
}
