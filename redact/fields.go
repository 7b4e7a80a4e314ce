package redact

import "github.com/fanlight-io/fanlight/bpf"

// Type is how a field's value is written.
type Type uint8

// The types of fields.
const (
	TypeTime    Type = iota + 1 // RFC 3339, UTC, nanoseconds
	TypeID                      // identifier made of hexadecimal digits and dashes
	TypeWord                    // word of a fixed vocabulary, or a pseudonym: never needs escaping
	TypeName                    // free text, escaped
	TypeAddress                 // IP address, or its pseudonym
	TypeMAC                     // Ethernet address, or its pseudonym
	TypeNumber                  // unsigned integer
	TypeList                    // list of IP addresses, or of their pseudonyms
)

var typeNames = [...]string{
	TypeTime: "RFC 3339 time", TypeID: "identifier", TypeWord: "word", TypeName: "text", TypeAddress: "address",
	TypeMAC: "Ethernet address", TypeNumber: "integer", TypeList: "list of addresses",
}

// String returns the type's name as the documentation writes it.
func (t Type) String() string { return typeNames[t] }

// Field describes one field of records. The table of fields is the one place
// that maps names: encodings with other names add a column to [Names].
type Field struct {
	Name  string     // in records
	Event string     // field of bpf.Event that it comes from; empty if the policy adds it
	Kinds []bpf.Kind // kinds of events that use it; nil means all
	Class Class
	Type  Type
	Help  string
	Names Names
}

// SchemaVersion is the version of the record's fields. It grows when a field
// is renamed, removed or changes its meaning.
const SchemaVersion = 1

type field uint8

// The order here is the order of fields in each record.
const (
	fieldSchema field = iota
	fieldNode
	fieldBootID
	fieldTime
	fieldEventID
	fieldKind
	fieldAction
	fieldReason
	fieldDomain
	fieldVLAN
	fieldInnerVLAN
	fieldSource
	fieldGroup
	fieldGroupName
	fieldGroupScope
	fieldGroupClass
	fieldInterface
	fieldHost
	fieldHostMAC
	fieldQuerier
	fieldQuerierMAC
	fieldProtocol
	fieldFilterMode
	fieldSources
	fieldFanOut
	fieldPrevFanOut
	fieldPackets
	fieldBytes
	fieldCopies
	fieldCopyBytes
	fieldFailures
	fieldSuppressed
	fieldLost
	fieldDirection
	fieldTTL
	fieldPrevTTL
	fieldDSCP
	fieldPrevDSCP
	fieldSilence
	fieldRing
	fieldSeq
	numFields
)

var (
	hostKinds    = []bpf.Kind{bpf.KindReplication, bpf.KindDrop, bpf.KindMembership, bpf.KindLoss, bpf.KindStream}
	querierKinds = []bpf.Kind{bpf.KindQuerier}
)

var fields = [numFields]Field{
	fieldSchema: {Name: "schema_version", Class: Public, Type: TypeNumber, Help: "version of these fields", Names: Names{
		OTel: "fanlight.schema_version", ECS: "fanlight.schema_version", OCSF: "metadata.log_version",
		CEF: "fanlightSchemaVersion", LEEF: "schemaVersion",
	}},
	fieldNode: {Name: "node", Class: Node, Type: TypeName, Help: "name of the host that fanlight runs on", Names: Names{
		OTel: "host.name", ECS: "host.name", OCSF: "device.hostname",
		CEF: "dvchost", LEEF: "node",
	}},
	fieldBootID: {Name: "boot_id", Class: Node, Type: TypeName, Help: "boot of that host", Names: Names{
		OTel: "fanlight.boot_id", ECS: "host.boot.id", OCSF: "device.boot_uid|unmapped.boot_id",
		CEF: "fanlightBootId", LEEF: "bootId",
	}},
	fieldTime: {Name: "time", Event: "Time", Class: Time, Type: TypeTime, Help: "when it happened", Names: Names{
		ECS: "@timestamp", OCSF: "time,metadata.original_time", CEF: "rt",
		LEEF: "devTime", IPFIX: []Element{{"observationTimeNanoseconds", 325}},
	}},
	fieldEventID: {Name: "event_id", Class: Sequence, Type: TypeID, Help: "the same for each delivery of one event, and for no other event", Names: Names{
		OTel: "fanlight.event_id", ECS: "event.id", OCSF: "metadata.uid",
		CEF: "externalId", LEEF: "eventId",
	}},
	fieldKind: {Name: "kind", Event: "Kind", Class: Public, Type: TypeWord, Help: "what the event tells about", Names: Names{
		OTel: "fanlight.kind", ECS: "fanlight.kind", OCSF: "metadata.event_code",
		CEF: "cat", LEEF: "kind",
	}},
	fieldAction: {Name: "action", Event: "Action", Class: Public, Type: TypeWord, Help: "what happened, by kind", Names: Names{
		OTel: "fanlight.action", ECS: "event.action", OCSF: "unmapped.action",
		CEF: "act", LEEF: "cat",
	}},
	fieldReason: {Name: "reason", Event: "Reason", Class: Public, Type: TypeWord, Help: "why", Names: Names{
		OTel: "fanlight.reason", ECS: "event.reason", OCSF: "status_detail",
		CEF: "reason", LEEF: "reason",
	}},
	fieldDomain: {Name: "domain", Event: "Domain", Class: Domain, Type: TypeName, Help: "configured name of the multicast segment", Names: Names{
		OTel: "fanlight.domain", ECS: "network.name", OCSF: "network_observation_point.zone|unmapped.domain",
		CEF: "fanlightDomain", LEEF: "segment",
	}},
	fieldVLAN: {Name: "vlan", Event: "VLAN", Class: Segment, Type: TypeNumber, Help: "outer or only VLAN id", Names: Names{
		OTel: "fanlight.vlan", ECS: "network.vlan.id", OCSF: "network_observation_point.vlan_uid|unmapped.vlan",
		CEF: "fanlightVlan", LEEF: "vlan", IPFIX: []Element{{"dot1qVlanId", 243}},
	}},
	fieldInnerVLAN: {Name: "inner_vlan", Event: "VLAN", Class: Segment, Type: TypeNumber, Help: "inner VLAN id of a double-tagged segment", Names: Names{
		OTel: "fanlight.inner_vlan", ECS: "network.inner.vlan.id", OCSF: "unmapped.inner_vlan",
		CEF: "fanlightInnerVlan", LEEF: "innerVlan", IPFIX: []Element{{"dot1qCustomerVlanId", 245}},
	}},
	fieldSource: {Name: "source", Event: "Source", Class: SourceAddress, Type: TypeAddress, Help: "the sender, S of (S,G)", Names: Names{
		OTel: "fanlight.source", ECS: "source.address,source.ip", OCSF: "src_endpoint.ip|src_endpoint.uid|unmapped.source",
		CEF: "src|c6a2|shost|fanlightSource", LEEF: "src|source", IPFIX: []Element{{"sourceIPv4Address", 8}, {"sourceIPv6Address", 27}},
	}},
	fieldGroup: {Name: "group", Event: "Group", Class: Group, Type: TypeAddress, Help: "the group, G of (S,G)", Names: Names{
		OTel: "fanlight.group", ECS: "destination.address,destination.ip", OCSF: "dst_endpoint.ip|dst_endpoint.uid|unmapped.group",
		CEF: "dst|c6a3|dhost|fanlightGroup", LEEF: "dst|group", IPFIX: []Element{{"destinationIPv4Address", 12}, {"destinationIPv6Address", 28}},
	}},
	fieldGroupName: {Name: "group_name", Event: "GroupName", Class: GroupName, Type: TypeName, Help: "what the group is called, by the operator's names or IANA's registry", Names: Names{
		OTel: "fanlight.group_name", ECS: "fanlight.group_name", OCSF: "unmapped.group_name",
		CEF: "fanlightGroupName", LEEF: "groupName",
	}},
	fieldGroupScope: {Name: "group_scope", Event: "Group", Class: Public, Type: TypeWord, Help: "how far packets to the group may go (RFC 2365, RFC 7346)", Names: Names{
		OTel: "fanlight.group_scope", ECS: "fanlight.group_scope", OCSF: "unmapped.group_scope",
		CEF: "fanlightGroupScope", LEEF: "groupScope",
	}},
	fieldGroupClass: {Name: "group_class", Event: "Group", Class: Public, Type: TypeWord, Help: "kind of group: any-source, source-specific, control and so on", Names: Names{
		OTel: "fanlight.group_class", ECS: "fanlight.group_class", OCSF: "unmapped.group_class",
		CEF: "fanlightGroupClass", LEEF: "groupClass",
	}},
	fieldInterface: {Name: "interface", Event: "Interface", Class: Interface, Type: TypeName, Help: "ingress port; of a lost copy or a membership, the subscriber's port; of a stream, where it was observed", Names: Names{
		OTel: "fanlight.interface", ECS: "observer.ingress.interface.name", OCSF: "network_observation_point.interface_name|unmapped.interface",
		CEF: "deviceInboundInterface", LEEF: "interface", IPFIX: []Element{{"interfaceName", 82}},
	}},
	fieldHost: {Name: "host", Event: "Host", Kinds: hostKinds, Class: HostAddress, Type: TypeAddress, Help: "the subscriber that reported", Names: Names{
		OTel: "client.address", ECS: "client.address,client.ip", OCSF: "src_endpoint.ip|src_endpoint.uid|unmapped.host",
		CEF: "src|c6a2|shost|fanlightHost", LEEF: "src|host",
	}},
	fieldHostMAC: {Name: "host_mac", Event: "HostMAC", Kinds: hostKinds, Class: HostMAC, Type: TypeMAC, Help: "its Ethernet address", Names: Names{
		OTel: "fanlight.host_mac", ECS: "client.mac|fanlight.host_mac", OCSF: "src_endpoint.mac|unmapped.host_mac",
		CEF: "smac|fanlightHostMac", LEEF: "srcMAC|hostMac", IPFIX: []Element{{"sourceMacAddress", 56}},
	}},
	fieldQuerier: {Name: "querier", Event: "Host", Kinds: querierKinds, Class: QuerierAddress, Type: TypeAddress, Help: "the querier", Names: Names{
		OTel: "fanlight.querier", ECS: "server.address,server.ip", OCSF: "src_endpoint.ip|src_endpoint.uid|unmapped.querier",
		CEF: "src|c6a2|shost|fanlightQuerier", LEEF: "src|querier",
	}},
	fieldQuerierMAC: {Name: "querier_mac", Event: "HostMAC", Kinds: querierKinds, Class: QuerierMAC, Type: TypeMAC, Help: "its Ethernet address", Names: Names{
		OTel: "fanlight.querier_mac", ECS: "server.mac|fanlight.querier_mac", OCSF: "src_endpoint.mac|unmapped.querier_mac",
		CEF: "smac|fanlightQuerierMac", LEEF: "srcMAC|querierMac", IPFIX: []Element{{"sourceMacAddress", 56}},
	}},
	fieldProtocol: {Name: "protocol", Event: "Protocol", Class: Public, Type: TypeWord, Help: "membership protocol and version", Names: Names{
		OTel: "fanlight.protocol", ECS: "network.protocol", OCSF: "unmapped.protocol",
		CEF: "app", LEEF: "protocol",
	}},
	fieldFilterMode: {Name: "filter_mode", Event: "FilterMode", Class: Public, Type: TypeWord, Help: "how the source list is meant: include or exclude", Names: Names{
		OTel: "fanlight.filter_mode", ECS: "fanlight.filter_mode", OCSF: "unmapped.filter_mode",
		CEF: "fanlightFilterMode", LEEF: "filterMode",
	}},
	fieldSources: {Name: "sources", Event: "Sources", Class: SourceAddress, Type: TypeList, Help: "the member's source list", Names: Names{
		OTel: "fanlight.sources", ECS: "fanlight.sources", OCSF: "unmapped.sources",
		CEF: "fanlightSources", LEEF: "sources",
	}},
	fieldFanOut: {Name: "fan_out", Event: "FanOut", Class: Counter, Type: TypeNumber, Help: "copies wanted per packet now", Names: Names{
		OTel: "fanlight.fan_out", ECS: "fanlight.fan_out", OCSF: "unmapped.fan_out",
		CEF: "fanlightFanOut", LEEF: "fanOut", IPFIX: []Element{{"multicastReplicationFactor", 99}},
	}},
	fieldPrevFanOut: {Name: "previous_fan_out", Event: "PrevFanOut", Class: Counter, Type: TypeNumber, Help: "and before the change", Names: Names{
		OTel: "fanlight.previous_fan_out", ECS: "fanlight.previous_fan_out", OCSF: "unmapped.previous_fan_out",
		CEF: "fanlightPreviousFanOut", LEEF: "previousFanOut",
	}},
	fieldPackets: {Name: "packets", Event: "Packets", Class: Counter, Type: TypeNumber, Help: "datagrams received for the subject so far", Names: Names{
		OTel: "fanlight.packets", ECS: "source.packets", OCSF: "cumulative_traffic.packets|unmapped.packets",
		CEF: "fanlightPackets", LEEF: "srcPackets", IPFIX: []Element{{"packetTotalCount", 86}},
	}},
	fieldBytes: {Name: "bytes", Event: "Bytes", Class: Counter, Type: TypeNumber, Help: "their frame bytes, without FCS", Names: Names{
		OTel: "fanlight.bytes", ECS: "source.bytes", OCSF: "cumulative_traffic.bytes|unmapped.bytes",
		CEF: "fanlightBytes", LEEF: "srcBytes", IPFIX: []Element{{"layer2OctetTotalCount", 353}},
	}},
	fieldCopies: {Name: "copies", Event: "Copies", Class: Counter, Type: TypeNumber, Help: "datagrams handed to ports so far", Names: Names{
		OTel: "fanlight.copies", ECS: "fanlight.copies", OCSF: "unmapped.copies",
		CEF: "fanlightCopies", LEEF: "copies", IPFIX: []Element{{"postMCastPacketTotalCount", 174}},
	}},
	fieldCopyBytes: {Name: "copy_bytes", Event: "CopyBytes", Class: Counter, Type: TypeNumber, Help: "their frame bytes", Names: Names{
		OTel: "fanlight.copy_bytes", ECS: "fanlight.copy_bytes", OCSF: "unmapped.copy_bytes",
		CEF: "fanlightCopyBytes", LEEF: "copyBytes", IPFIX: []Element{{"postMCastLayer2OctetTotalCount", 421}},
	}},
	fieldFailures: {Name: "failed_copies", Event: "Failures", Class: Counter, Type: TypeNumber, Help: "copies that failed so far", Names: Names{
		OTel: "fanlight.failed_copies", ECS: "fanlight.failed_copies", OCSF: "unmapped.failed_copies",
		CEF: "fanlightFailedCopies", LEEF: "failedCopies", IPFIX: []Element{{"droppedPacketTotalCount", 135}},
	}},
	fieldSuppressed: {Name: "suppressed_events", Event: "Suppressed", Class: Counter, Type: TypeNumber, Help: "events of the subject that its budget held back since its last event", Names: Names{
		OTel: "fanlight.suppressed_events", ECS: "fanlight.suppressed_events", OCSF: "unmapped.suppressed_events",
		CEF: "fanlightSuppressedEvents", LEEF: "suppressedEvents",
	}},
	fieldLost: {Name: "lost_events", Event: "Lost", Class: Counter, Type: TypeNumber, Help: "how many events were lost", Names: Names{
		OTel: "fanlight.lost_events", ECS: "fanlight.lost_events", OCSF: "unmapped.lost_events",
		CEF: "fanlightLostEvents", LEEF: "lostEvents",
	}},
	fieldDirection: {Name: "direction", Event: "Direction", Class: Public, Type: TypeWord, Help: "which way an observed stream goes through the interface: receive or transmit", Names: Names{
		OTel: "fanlight.direction", ECS: "fanlight.direction", OCSF: "unmapped.direction",
		CEF: "fanlightDirection", LEEF: "direction",
	}},
	fieldTTL: {Name: "ttl", Event: "TTL", Class: Counter, Type: TypeNumber, Help: "TTL or hop limit of an observed stream's last packet", Names: Names{
		OTel: "fanlight.ttl", ECS: "fanlight.ttl", OCSF: "unmapped.ttl",
		CEF: "fanlightTtl", LEEF: "ttl", IPFIX: []Element{{"ipTTL", 192}},
	}},
	fieldPrevTTL: {Name: "previous_ttl", Event: "PrevTTL", Class: Counter, Type: TypeNumber, Help: "and before the change", Names: Names{
		OTel: "fanlight.previous_ttl", ECS: "fanlight.previous_ttl", OCSF: "unmapped.previous_ttl",
		CEF: "fanlightPreviousTtl", LEEF: "previousTtl",
	}},
	fieldDSCP: {Name: "dscp", Event: "DSCP", Class: Counter, Type: TypeNumber, Help: "DSCP of an observed stream's last packet", Names: Names{
		OTel: "fanlight.dscp", ECS: "fanlight.dscp", OCSF: "unmapped.dscp",
		CEF: "fanlightDscp", LEEF: "dscp", IPFIX: []Element{{"ipDiffServCodePoint", 195}},
	}},
	fieldPrevDSCP: {Name: "previous_dscp", Event: "PrevDSCP", Class: Counter, Type: TypeNumber, Help: "and before the change", Names: Names{
		OTel: "fanlight.previous_dscp", ECS: "fanlight.previous_dscp", OCSF: "unmapped.previous_dscp",
		CEF: "fanlightPreviousDscp", LEEF: "previousDscp",
	}},
	fieldSilence: {Name: "silence_ns", Event: "SilenceNS", Class: Counter, Type: TypeNumber, Help: "nanoseconds without a packet of an observed stream, so far or until it went on", Names: Names{
		OTel: "fanlight.silence_ns", ECS: "fanlight.silence_ns", OCSF: "unmapped.silence_ns",
		CEF: "fanlightSilenceNs", LEEF: "silenceNs",
	}},
	fieldRing: {Name: "ring", Event: "Ring", Class: Sequence, Type: TypeNumber, Help: "which numbering: a CPU, or 4294967295 for the agent itself", Names: Names{
		OTel: "fanlight.ring", ECS: "fanlight.ring", OCSF: "unmapped.ring",
		CEF: "fanlightRing", LEEF: "ring",
	}},
	fieldSeq: {Name: "seq", Event: "Seq", Class: Sequence, Type: TypeNumber, Help: "counts up by one per ring; a gap is a loss", Names: Names{
		OTel: "fanlight.seq", ECS: "event.sequence", OCSF: "metadata.sequence",
		CEF: "fanlightSeq", LEEF: "seq",
	}},
}

func fieldNamed(name string) (field, bool) {
	for f := range numFields {
		if fields[f].Name == name {
			return f, true
		}
	}
	return 0, false
}

// fixed reports whether no rule may touch the field: without it a record is of
// no use.
func (f field) fixed() bool {
	return f == fieldSchema || f == fieldKind || f == fieldAction || fields[f].Class == Sequence
}

// Table returns the fields of records in their order.
func Table() []Field { return append([]Field(nil), fields[:]...) }
