package redact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
)

// rawEvent has the fields of records, by their names there.
type rawEvent struct {
	SchemaVersion *int         `json:"schema_version"`
	Node          string       `json:"node"`        // these three, and
	BootID        string       `json:"boot_id"`     // scope and class of the
	EventID       string       `json:"event_id"`    // group, are added by the
	GroupScope    string       `json:"group_scope"` // policy: what is written
	GroupClass    string       `json:"group_class"` // here does not count
	Time          time.Time    `json:"time"`
	Kind          string       `json:"kind"`
	Action        string       `json:"action"`
	Reason        string       `json:"reason"`
	Domain        string       `json:"domain"`
	VLAN          uint16       `json:"vlan"`
	InnerVLAN     uint16       `json:"inner_vlan"`
	Source        netip.Addr   `json:"source"`
	Group         netip.Addr   `json:"group"`
	GroupName     string       `json:"group_name"`
	Interface     string       `json:"interface"`
	Host          netip.Addr   `json:"host"`
	HostMAC       string       `json:"host_mac"`
	Querier       netip.Addr   `json:"querier"`
	QuerierMAC    string       `json:"querier_mac"`
	Protocol      string       `json:"protocol"`
	FilterMode    string       `json:"filter_mode"`
	Sources       []netip.Addr `json:"sources"`
	FanOut        uint32       `json:"fan_out"`
	PrevFanOut    uint32       `json:"previous_fan_out"`
	Packets       uint64       `json:"packets"`
	Bytes         uint64       `json:"bytes"`
	Copies        uint64       `json:"copies"`
	CopyBytes     uint64       `json:"copy_bytes"`
	Failures      uint64       `json:"failed_copies"`
	Suppressed    uint64       `json:"suppressed_events"`
	Lost          uint64       `json:"lost_events"`
	Direction     string       `json:"direction"`
	TTL           uint8        `json:"ttl"`
	PrevTTL       uint8        `json:"previous_ttl"`
	DSCP          uint8        `json:"dscp"`
	PrevDSCP      uint8        `json:"previous_dscp"`
	SilenceNS     uint64       `json:"silence_ns"`
	Ring          uint32       `json:"ring"`
	Seq           uint64       `json:"seq"`
}

// ParseEvent reads an event as profile reveal writes it, to see what a policy
// makes of it. It refuses fields that are unknown, and another version.
func ParseEvent(raw []byte) (e bpf.Event, err error) {
	var in rawEvent
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return e, fmt.Errorf("event: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return e, errors.New("event: want one JSON object, and nothing behind it")
	}
	if in.SchemaVersion != nil && *in.SchemaVersion != SchemaVersion {
		return e, fmt.Errorf("event: schema_version %d: want %d", *in.SchemaVersion, SchemaVersion)
	}
	for _, k := range bpf.Kinds() {
		if k.String() == in.Kind {
			e.Kind = k
		}
	}
	if e.Kind == 0 {
		return e, fmt.Errorf("event: kind %q: want one of %v", in.Kind, bpf.Kinds())
	}
	host, mac := in.Host, in.HostMAC
	if e.Kind == bpf.KindQuerier {
		host, mac = in.Querier, in.QuerierMAC
	}
	if mac != "" {
		m, err := net.ParseMAC(mac)
		if err != nil || copy(e.HostMAC[:], m) != len(m) {
			return e, fmt.Errorf("event: %q is no Ethernet address", mac)
		}
	}
	e.Time, e.Ring, e.Seq = in.Time, in.Ring, in.Seq
	e.Action, e.Reason, e.Domain, e.Interface = in.Action, in.Reason, in.Domain, in.Interface
	e.VLAN = bpf.MakeVLAN(in.VLAN, in.InnerVLAN)
	e.Source, e.Group, e.GroupName, e.Host, e.Sources = in.Source, in.Group, in.GroupName, host, in.Sources
	e.Protocol, e.FilterMode = in.Protocol, in.FilterMode
	e.FanOut, e.PrevFanOut = in.FanOut, in.PrevFanOut
	e.Packets, e.Bytes, e.Copies, e.CopyBytes = in.Packets, in.Bytes, in.Copies, in.CopyBytes
	e.Failures, e.Suppressed, e.Lost = in.Failures, in.Suppressed, in.Lost
	e.Direction, e.SilenceNS = in.Direction, in.SilenceNS
	e.TTL, e.PrevTTL, e.DSCP, e.PrevDSCP = in.TTL, in.PrevTTL, in.DSCP, in.PrevDSCP
	return e, nil
}
