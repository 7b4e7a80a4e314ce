// Package bpf holds the kernel programs and the thin Go around them: it loads
// and attaches the datapath, writes its tables, reads its exact counters and
// decodes what its ring buffers say.
//
// It interprets nothing: names, membership and policy live elsewhere. An
// [Event] is raw and must not leave the process; only package redact may turn
// it into something that can.
package bpf

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"
)

// Kind is what an event tells about.
type Kind uint8

// The kinds of events. The numbers are part of the kernel's wire format and are
// only ever appended to.
const (
	KindReplication Kind = 1 // a stream's first packet, a changed fan-out, or a periodic total
	KindDrop        Kind = 2 // a packet that was not forwarded, or a copy that was lost
	KindMembership  Kind = 3 // a subscriber joined, left, expired, changed or was refused
	KindQuerier     Kind = 4 // a querier was elected, heard, replaced or lost
	KindLoss        Kind = 5 // events themselves were lost
	KindStream      Kind = 6 // an observed stream appeared, changed, fell silent or went on
	kindEnd         Kind = 7
)

var kindNames = [...]string{
	KindReplication: "replication",
	KindDrop:        "drop",
	KindMembership:  "membership",
	KindQuerier:     "querier",
	KindLoss:        "loss",
	KindStream:      "stream",
}

// Kinds returns every kind, in order.
func Kinds() []Kind {
	return []Kind{KindReplication, KindDrop, KindMembership, KindQuerier, KindLoss, KindStream}
}

// String returns the kind's name as it appears in records and metric labels.
func (k Kind) String() string {
	if k > 0 && k < kindEnd {
		return kindNames[k]
	}
	return "unknown"
}

// VLAN identifies a segment inside a domain: the outer VLAN id in the high 16
// bits and the inner one in the low 16. Untagged is 0; a single tag has an
// inner id of 0.
type VLAN uint32

// MakeVLAN returns the VLAN with the given tags; 0 means no tag.
func MakeVLAN(outer, inner uint16) VLAN { return VLAN(outer)<<16 | VLAN(inner) }

// Outer returns the outer (or only) VLAN id, 0 if untagged.
func (v VLAN) Outer() uint16 { return uint16(v >> 16) }

// Inner returns the inner VLAN id of a double-tagged segment, else 0.
func (v VLAN) Inner() uint16 { return uint16(v) }

// String returns "", "100" or "100.7".
func (v VLAN) String() string {
	switch {
	case v == 0:
		return ""
	case v.Inner() == 0:
		return fmt.Sprint(v.Outer())
	default:
		return fmt.Sprintf("%d.%d", v.Outer(), v.Inner())
	}
}

// MAC is an Ethernet address. The zero value means unknown.
type MAC [6]byte

// Event is one raw, unredacted happening. It is flat: a field that a kind does
// not use is zero. Running totals (Packets to Failures) are those of the
// event's subject since it was first seen, so a lost event loses no amount.
//
// An Event never prints its content: its String, GoString, LogValue and
// MarshalJSON hide everything but the kind.
type Event struct {
	Kind Kind
	// Time is the wall-clock time of the happening, taken in the kernel where
	// the event comes from there.
	Time time.Time
	// Ring and Seq number the event: Seq counts up by one per Ring, so a gap is
	// a loss. Rings are CPUs for kernel events; AgentRing is the agent itself.
	Ring uint32
	Seq  uint64

	Domain    string
	VLAN      VLAN
	Source    netip.Addr // the sender, S of (S,G)
	Group     netip.Addr // G
	GroupName string     // what the group is called, if anything
	Interface string     // ingress port; for a lost copy and for membership, the subscriber's port; the observed one

	// Action refines the kind: replication first|fanout|periodic; drop
	// packet|copy; membership joined|left|expired|changed|refused; querier
	// elected|heard|replaced|lost; loss ring|queue|...; stream
	// first|source_added|source_changed|silent|resumed|ttl_changed|dscp_changed|ended|refused.
	Action string
	// Reason says why: a drop reason, a refusal reason, a loss reason.
	Reason string

	Host       netip.Addr   // the subscriber that reported, or the querier's address
	HostMAC    MAC          // its Ethernet address
	Protocol   string       // igmpv1, igmpv2, igmpv3, mldv1, mldv2
	FilterMode string       // include or exclude
	Sources    []netip.Addr // the member's source list; owned by the event

	FanOut     uint32 // copies wanted per packet now
	PrevFanOut uint32 // and before the change
	Packets    uint64 // datagrams received for the subject
	Bytes      uint64 // their frame bytes, without FCS
	Copies     uint64 // datagrams handed to ports
	CopyBytes  uint64
	Failures   uint64 // copies that failed
	Suppressed uint64 // events of the subject that its budget held back since its last event
	Lost       uint64 // loss: how many events

	Direction string // stream: receive or transmit
	TTL       uint8  // stream: of the last packet, as is DSCP
	PrevTTL   uint8  // stream: before the change, as is PrevDSCP
	DSCP      uint8  // stream
	PrevDSCP  uint8  // stream
	SilenceNS uint64 // stream: since its last packet, or between the last two
}

// AgentRing is the Ring of events that the agent itself made.
const AgentRing uint32 = 1<<32 - 1

// String returns the kind only; see [Event].
func (e Event) String() string { return "bpf.Event(" + e.Kind.String() + ")" }

// GoString returns the kind only; see [Event].
func (e Event) GoString() string { return e.String() }

// LogValue returns the kind only; see [Event].
func (e Event) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalJSON returns the kind only; see [Event].
func (e Event) MarshalJSON() ([]byte, error) { return []byte(`"` + e.String() + `"`), nil }
