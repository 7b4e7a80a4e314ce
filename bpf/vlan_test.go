package bpf

import "testing"

func TestParseVLAN(t *testing.T) {
	for _, v := range []VLAN{0, MakeVLAN(1, 0), MakeVLAN(4094, 0), MakeVLAN(100, 7)} {
		if got, err := ParseVLAN(v.String()); err != nil || got != v {
			t.Errorf("%q: %v, %v", v.String(), got, err)
		}
	}
	for _, s := range []string{"0", "4095", "-1", "x", "100.", ".7", "1.2.3", "100.0"} {
		if v, err := ParseVLAN(s); err == nil {
			t.Errorf("%q is %v", s, v)
		}
	}
}
