package redacttest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
)

// Canaries are addresses of hosts that are easily recognised: no byte of them
// may come out under the default profile.
var (
	SourceCanary4 = netip.MustParseAddr("203.0.113.77")
	SourceCanary6 = netip.MustParseAddr("2001:db8:cafe:f00d:dead:beef:1234:5678")
	HostCanary4   = netip.MustParseAddr("198.51.100.199")
	HostCanary6   = netip.MustParseAddr("2001:db8:babe:d00d:feed:face:8765:4321")
	MACCanary     = bpf.MAC{0x02, 0xde, 0xad, 0xbe, 0xef, 0x99}
)

// CanaryEvents returns an event of each kind and action with a canary in each
// field that may hold a host's address. Queriers are not hosts: their address
// stays in clear, so events of queriers have no canary there.
func CanaryEvents() []bpf.Event {
	var events []bpf.Event
	for i, e := range Events() {
		e.Source, e.Host, e.HostMAC = SourceCanary4, HostCanary4, MACCanary
		e.Sources = []netip.Addr{SourceCanary6, HostCanary4, netip.AddrFrom16(HostCanary4.As16())}
		if i%2 == 1 {
			e.Source, e.Host = SourceCanary6, HostCanary6.WithZone("p0")
		}
		if e.Kind == bpf.KindQuerier {
			e.Host = querier
		}
		events = append(events, e)
	}
	return events
}

// More canaries: no byte of these may come out under the strict profile. A
// group's Ethernet address holds most of the group.
var (
	GroupCanary4    = netip.MustParseAddr("239.173.219.241")
	GroupCanary6    = netip.MustParseAddr("ff35::feed:beef:cafe:8421")
	SSMCanary       = netip.MustParseAddr("232.187.141.209")
	QuerierCanary   = netip.MustParseAddr("203.0.113.222")
	DomainCanary    = "domain-canary-Ω"
	InterfaceCanary = "veth-canary<7>"
	NameCanary      = "name-canary & sons"
	VLANCanary      = bpf.MakeVLAN(3947, 2741)
	OriginCanary    = redact.Origin{Node: "node-canary.example", BootID: "ca9a27b0-0000-4000-8000-0000feedface"}
)

// StrictCanaryEvents returns an event of each kind and action with a canary in
// every field that is not a word of redact's own or a number.
func StrictCanaryEvents() []bpf.Event {
	groups := []netip.Addr{GroupCanary4, GroupCanary6, SSMCanary}
	events := CanaryEvents()
	for i := range events {
		e := &events[i]
		e.Group, e.GroupName, e.Domain, e.Interface, e.VLAN = groups[i%len(groups)], NameCanary, DomainCanary, InterfaceCanary, VLANCanary
		if e.Kind == bpf.KindQuerier {
			e.Host = QuerierCanary
		}
	}
	return events
}

// StrictCanarySeries gives every metric with labels a series made of canaries.
func StrictCanarySeries(m *redact.Metrics) {
	for _, info := range redact.Families() {
		f, _ := redact.FamilyNamed(info.Name)
		if info.Type == redact.HistogramType || slices.Contains(own, f) {
			continue
		}
		for _, group := range []netip.Addr{GroupCanary4, GroupCanary6} {
			var labels []redact.Label
			for _, l := range info.Labels {
				labels = append(labels, canaryLabel(l, group))
			}
			m.Series(f, labels...).Set(1)
		}
	}
}

func canaryLabel(l redact.LabelInfo, group netip.Addr) redact.Label {
	switch l.Class {
	case redact.Segment:
		return redact.VLAN(VLANCanary)
	case redact.Group:
		return redact.Addr(group)
	case redact.SourceAddress:
		return redact.Addr(SourceCanary4)
	case redact.QuerierAddress:
		return redact.Addr(QuerierCanary)
	case redact.Interface:
		return redact.Name(InterfaceCanary)
	case redact.Domain:
		return redact.Name(DomainCanary)
	case redact.GroupName:
		return redact.Name(NameCanary)
	}
	return redact.Name("word")
}

// StrictLeaks is Leaks for all canaries.
func StrictLeaks(out []byte) []string { return append(Leaks(out), leaks(out, strictForms)...) }

// CanarySeries gives a metric a series for each canary.
func CanarySeries(m *redact.Metrics) {
	for i, canary := range []netip.Addr{SourceCanary4, SourceCanary6, HostCanary4, HostCanary6} {
		for _, f := range []redact.Family{redact.SourcePackets, redact.SourceBytes} {
			m.Series(f, redact.Name("lab"), redact.VLAN(0), redact.Addr(group4), redact.Addr(canary)).Set(uint64(i))
		}
	}
	at := float64(start.UnixNano()) / float64(time.Second)
	m.Series(redact.QuerierLastSeen, redact.Name("lab"), redact.VLAN(0), redact.Addr(querier)).SetFloat(at)
}

// Leaks returns which canaries occur in what came out, and in which form.
func Leaks(out []byte) []string { return leaks(out, canaryForms) }

func leaks(out []byte, forms []form) []string {
	lower := bytes.ToLower(out)
	var found []string
	for _, c := range forms {
		in := out
		if c.anyCase {
			in = lower
		}
		if bytes.Contains(in, c.form) {
			found = append(found, fmt.Sprintf("%s as %s", c.name, c.how))
		}
	}
	return found
}

type form struct {
	name, how string
	form      []byte
	anyCase   bool
}

var canaryForms = func() (all []form) {
	all = append(all, addressForms("source v4", SourceCanary4)...)
	all = append(all, addressForms("source v6", SourceCanary6)...)
	all = append(all, addressForms("host v4", HostCanary4)...)
	all = append(all, addressForms("host v6", HostCanary6)...)
	return append(all, macForms("MAC", MACCanary)...)
}()

var strictForms = func() (all []form) {
	for name, a := range map[string]netip.Addr{
		"group v4": GroupCanary4, "group v6": GroupCanary6, "SSM group": SSMCanary, "querier": QuerierCanary,
	} {
		all = append(all, addressForms(name, a)...)
		if m, ok := redact.GroupMAC(a); ok {
			all = append(all, macForms("MAC of "+name, m)...)
		}
	}
	for name, text := range map[string]string{
		"domain": DomainCanary, "interface": InterfaceCanary, "group name": NameCanary, "node": OriginCanary.Node, "boot id": OriginCanary.BootID,
	} {
		all = append(all, byteForms(name, []byte(text))...)
		quoted, _ := json.Marshal(text) // with brackets escaped, as in a record
		all = append(all, form{name, "JSON", bytes.Trim(quoted, `"`), false})
	}
	outer, inner := VLANCanary.Outer(), VLANCanary.Inner()
	for _, text := range []string{fmt.Sprintf("%d.%d", outer, inner), fmt.Sprintf(":%d,", outer), fmt.Sprintf(":%d,", inner), fmt.Sprint(uint32(VLANCanary))} {
		all = append(all, form{"VLAN", "decimal", []byte(text), false})
	}
	return all
}()

func macForms(name string, m bpf.MAC) []form {
	pairs := make([]string, len(m))
	for i, b := range m {
		pairs[i] = hex.EncodeToString([]byte{b})
	}
	return append(byteForms(name, m[:]),
		form{name, "text with colons", []byte(strings.Join(pairs, ":")), true},
		form{name, "text with dashes", []byte(strings.Join(pairs, "-")), true})
}

func addressForms(name string, a netip.Addr) []form {
	all := append(byteForms(name, a.AsSlice()),
		form{name, "text", []byte(a.String()), true},
		form{name, "long text", []byte(a.StringExpanded()), true})
	wide := a.As16() // as an address keeps itself
	for _, half := range [][]byte{wide[:8], wide[8:]} {
		if n := binary.BigEndian.Uint64(half); n != 0 {
			all = append(all, form{name, "decimal half", fmt.Append(nil, n), false})
		}
	}
	if a.Is4() {
		raw := a.As4()
		all = append(all,
			form{name, "decimal", fmt.Append(nil, binary.BigEndian.Uint32(raw[:])), false},
			form{name, "swapped decimal", fmt.Append(nil, binary.LittleEndian.Uint32(raw[:])), false})
	}
	return all
}

// byteForms are the bytes in both orders: as they are, in hexadecimal, and in
// base64 at each of its three alignments.
func byteForms(name string, raw []byte) []form {
	swapped := append([]byte(nil), raw...)
	for i, j := 0, len(swapped)-1; i < j; i, j = i+1, j-1 {
		swapped[i], swapped[j] = swapped[j], swapped[i]
	}
	var all []form
	for order, b := range map[string][]byte{"big endian": raw, "little endian": swapped} {
		all = append(all,
			form{name, order + " bytes", b, false},
			form{name, order + " hexadecimal", []byte(hex.EncodeToString(b)), true},
			form{name, order + " list of numbers", bytes.Trim(fmt.Append(nil, b), "[]"), false},
			form{name, order + " list of numbers", bytes.ReplaceAll(bytes.Trim(fmt.Append(nil, b), "[]"), []byte(" "), []byte(",")), false})
		for shift := range 3 {
			all = append(all,
				form{name, order + " base64", base64Core(base64.RawStdEncoding, b, shift), false},
				form{name, order + " base64", base64Core(base64.RawURLEncoding, b, shift), false})
		}
	}
	return all
}

// base64Core is what base64 shows of b when shift bytes stand before it,
// whatever stands before and behind.
func base64Core(enc *base64.Encoding, b []byte, shift int) []byte {
	text := enc.EncodeToString(append(make([]byte, shift), b...))
	first := (shift*8 + 5) / 6
	last := (shift + len(b)) * 8 / 6
	return []byte(text[first:last])
}
