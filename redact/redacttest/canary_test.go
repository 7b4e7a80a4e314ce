package redacttest

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// The search finds a canary in each form that it may take, anywhere.
func TestLeaksFindsEachForm(t *testing.T) {
	number := binary.BigEndian.Uint32(HostCanary4.AsSlice())
	for name, out := range map[string]string{
		"dotted":           HostCanary4.String(),
		"mapped":           netip.AddrFrom16(HostCanary4.As16()).String(),
		"decimal":          fmt.Sprint(number),
		"printed bytes":    fmt.Sprint(HostCanary4.AsSlice()),
		"IPv6":             SourceCanary6.String(),
		"IPv6 upper":       strings.ToUpper(SourceCanary6.String()),
		"IPv6 expanded":    HostCanary6.StringExpanded(),
		"IPv6 with zone":   HostCanary6.WithZone("p0").String(),
		"MAC with colons":  "02:de:ad:be:ef:99",
		"MAC with dashes":  "02-DE-AD-BE-EF-99",
		"URL-safe base64":  base64.URLEncoding.EncodeToString(SourceCanary6.AsSlice()),
		"base64 of a line": base64.StdEncoding.EncodeToString([]byte("x" + string(MACCanary[:]) + "y")),
	} {
		if len(Leaks([]byte("before "+out+" after"))) == 0 {
			t.Errorf("%s: %q is not found", name, out)
		}
	}
	for _, raw := range [][]byte{SourceCanary4.AsSlice(), SourceCanary6.AsSlice(), HostCanary4.AsSlice(), HostCanary6.AsSlice(), MACCanary[:]} {
		for range 2 { // the second time in the other order
			for shift := range 5 {
				in := append(append(slices.Repeat([]byte{'x'}, shift), raw...), "yz"...)
				for name, out := range map[string]string{
					"bytes": string(in), "hex": hex.EncodeToString(in), "HEX": fmt.Sprintf("%X", in), "base64": base64.StdEncoding.EncodeToString(in),
				} {
					if len(Leaks([]byte(out))) == 0 {
						t.Errorf("%x after %d bytes as %s is not found", raw, shift, name)
					}
				}
			}
			raw = slices.Clone(raw)
			slices.Reverse(raw)
		}
	}
	if leaks := Leaks([]byte("233.252.0.7 source_cd27abf0_ba0eb6649ca9dd39b5e7e2cd p0")); len(leaks) > 0 {
		t.Errorf("found where nothing is: %v", leaks)
	}
}
