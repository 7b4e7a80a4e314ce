package redacttest

import (
	"net/netip"
	"slices"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
)

// own are the families whose series Metrics and the exporters make themselves.
var own = []redact.Family{redact.SeriesOverflow, redact.Redactions, redact.RedactionFailures, redact.Scrapes, redact.ScrapeRefused}

// EverySeries gives every family that Metrics keeps two series: one with all
// labels, and one without those that may be missing.
func EverySeries(m *redact.Metrics) {
	for i, info := range redact.Families() {
		f, _ := redact.FamilyNamed(info.Name)
		if info.Type == redact.HistogramType || slices.Contains(own, f) {
			continue
		}
		full, bare := labels(info)
		value := uint64(1000 * (i + 1))
		m.Series(f, full...).Set(value)
		if len(full) > 0 {
			m.Series(f, bare...).Set(value + 1)
		}
	}
}

func labels(info redact.FamilyInfo) (full, bare []redact.Label) {
	for _, l := range info.Labels {
		a, b := labelOf(l)
		full, bare = append(full, a), append(bare, b)
	}
	return full, bare
}

func labelOf(l redact.LabelInfo) (full, bare redact.Label) {
	switch l.Class {
	case redact.Segment:
		return redact.VLAN(bpf.MakeVLAN(100, 7)), redact.VLAN(0)
	case redact.Group:
		return redact.Addr(group4), redact.Addr(group6)
	case redact.SourceAddress:
		return redact.Addr(source4), redact.Addr(netip.Addr{})
	case redact.QuerierAddress:
		return redact.Addr(querier), redact.Addr(source6)
	case redact.Interface:
		return redact.Name("p0"), redact.Name(`veth "3" \ 4`)
	case redact.Domain:
		return redact.Name("lab"), redact.Name("studio")
	}
	return redact.Name(l.Name + "_a"), redact.Name(l.Name + "_b")
}
