package exporters

import (
	"math"
	"net/netip"
	"strings"

	"github.com/fanlight-io/fanlight/redact"
)

// style is how a value is written.
type style uint8

const (
	asText      style = iota + 1
	asNumber          // at most 2^63-1, which is what schemas with signed integers take
	asQuoted          // a number, a time or an identifier as text
	asMillis          // milliseconds since the epoch
	asMilliTime       // RFC 3339 with three decimals
	asList            // of texts
	asUnknown         // "unknown", whatever the value
	asIP              // only if it is an address
	asIPv4            // only if it is an IPv4 address
	asIPv6            // only if it is an IPv6 address
	asMAC             // only if it is an Ethernet address; as it is
	asDashMAC         // the same in upper case with dashes
	asVersion         // 4 or 6, only of an address
	asNetwork         // ipv4 or ipv6, only of an address
	asMissing         // "unknown" where an address is missing
)

// conditional reports whether only some values fit.
func (s style) conditional() bool { return s >= asIP }

func (s style) admits(text string) bool {
	switch s {
	case asIP, asVersion, asNetwork:
		return isIP(text)
	case asIPv4:
		return isIP(text) && !isColon(text)
	case asIPv6:
		return isIP(text) && isColon(text)
	case asMAC, asDashMAC:
		return isMAC(text)
	}
	return true
}

// styleOf is how values of a type are written unless a format wants otherwise.
func styleOf(t redact.Type) style {
	switch t {
	case redact.TypeNumber:
		return asNumber
	case redact.TypeTime, redact.TypeID:
		return asQuoted
	case redact.TypeList:
		return asList
	}
	return asText
}

func isColon(address string) bool { return strings.IndexByte(address, ':') >= 0 }

// isIP tells an address from a pseudonym, which begins with a word. netip would
// allocate an error for what is none.
func isIP(s string) bool {
	if len(s) < 2 || len(s) > len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255") {
		return false
	}
	marks := 0
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		case c == '.', c == ':':
			marks++
		default:
			return false
		}
	}
	if marks < 2 {
		return false
	}
	_, err := netip.ParseAddr(s)
	return err == nil
}

func isMAC(s string) bool {
	if len(s) != 17 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		hex := '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
		if hex == (i%3 == 2) || i%3 == 2 && c != ':' {
			return false
		}
	}
	return true
}

func appendDashMAC(dst []byte, mac string) []byte {
	for i := range len(mac) {
		switch c := mac[i]; {
		case c == ':':
			dst = append(dst, '-')
		case 'a' <= c && c <= 'f':
			dst = append(dst, c-'a'+'A')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func signed(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
