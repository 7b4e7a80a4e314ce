package redact

import "strings"

// MetricType is a Prometheus metric type.
type MetricType uint8

// The metric types in use.
const (
	CounterType MetricType = iota + 1
	GaugeType
	HistogramType // kept by client_golang, not by Metrics
)

var metricTypeNames = [...]string{CounterType: "counter", GaugeType: "gauge", HistogramType: "histogram"}

// String returns the type's name in the text format.
func (t MetricType) String() string { return metricTypeNames[t] }

// FamilyInfo describes one metric family.
type FamilyInfo struct {
	Name   string
	OTel   string // name of the instrument; it, unit and type make Name by OpenTelemetry's rules for Prometheus
	Help   string
	Type   MetricType
	Unit   string
	Labels []LabelInfo
}

// LabelInfo describes one label of a family.
type LabelInfo struct {
	Name  string
	Class Class
}

// UCUM returns the unit as OpenTelemetry writes units.
func (f *FamilyInfo) UCUM() string {
	switch f.Unit {
	case "":
		return ""
	case "bytes":
		return "By"
	case "seconds":
		return "s"
	case "entries", "families":
		return "{" + strings.TrimSuffix(f.Unit, "ies") + "y}"
	case "series":
		return "{series}"
	}
	return "{" + strings.TrimSuffix(f.Unit, "s") + "}"
}

// OTel returns what the label is called as an attribute: the name that the
// mapping table gives to the field of events that it is like.
func (l *LabelInfo) OTel() string {
	f, ok := fieldOf(l.Class)
	if !ok {
		f, ok = fieldNamed(l.Name)
	}
	if !ok || fields[f].Names.OTel == "" {
		return "fanlight." + l.Name
	}
	return fields[f].Names.OTel
}

// float reports whether the family's values are fractions.
func (f *FamilyInfo) float() bool { return f.Unit == "seconds" }

// Family identifies a metric family. Names are a promise to users: families
// are added, never renamed.
type Family uint8

// The metric families.
const (
	GroupPackets Family = iota
	GroupBytes
	GroupCopies
	GroupCopyBytes
	GroupMembers
	GroupInfo
	PortCopies
	PortCopyBytes
	CopyFailures
	SourcePackets
	SourceBytes
	Drops
	DropBytes
	PacketsSeen
	PortAttachFailures
	IGMPMessages
	IGMPErrors
	IGMPRecordErrors
	QuerierInfo
	QuerierLastSeen
	QuerierKnown
	TableEntries
	TableCapacity
	TableRefused
	EventsProduced
	EventsLost
	SinkEvents
	SinkLost
	SinkRecovered
	SinkWaiting
	SinkLag
	SinkRetries
	SinkFailing
	SpoolBytes
	SpoolCapacity
	Redactions
	SinkActions
	RedactionFailures
	SeriesOverflow
	BuildInfo
	ConfigLastReloadSuccess
	ConfigLastReloadOK
	Scrapes
	ScrapeRefused
	LiveViewers
	LiveViewersGone
	LiveRequests
	MetricExports
	APIRequests
	APIConnections
	APIStreams
	APIStreamLost
	HistoryEvents
	HistoryBytes
	HistorySince
	HistoryLost
	JoinLatency
	LeaveLatency
	ObservedPackets
	ObservedBytes
	ObservedLastSeen
	ObservedPeakPackets
	ObservedPeakBytes
	ObservedLongestGap
	ObservedGaps
	ObservedTTL
	ObservedDSCP
	ObservedChanges
	ObservedSources
	ObservedGroupState
	ObservedMemberships
	ObservedBridgePorts
	ObservedMessages
	ObservedMessageErrors
	ObservedQuerierInfo
	ObservedQuerierLastSeen
	ObservedRoutePackets
	ObservedRouteBytes
	ObservedRouteWrongInterface
	ObservedInterfaces
	ObserveFailures
	numFamilies
)

var (
	byDomain    = LabelInfo{"domain", Domain}
	byVLAN      = LabelInfo{"vlan", Segment} // left out where the domain has no VLANs
	byGroup     = LabelInfo{"group", Group}
	bySource    = LabelInfo{"source", SourceAddress}
	byInterface = LabelInfo{"interface", Interface}
	byReason    = LabelInfo{"reason", Public}
	byTable     = LabelInfo{"table", Public}
	byKind      = LabelInfo{"kind", Public}
	byExporter  = LabelInfo{"exporter", Public}
	byStage     = LabelInfo{"stage", Public}
	byDirection = LabelInfo{"direction", Public}

	groupLabels  = []LabelInfo{byDomain, byVLAN, byGroup}
	portLabels   = []LabelInfo{byDomain, byVLAN, byGroup, byInterface}
	sourceLabels = []LabelInfo{byDomain, byVLAN, byGroup, bySource}
	dropLabels   = []LabelInfo{byDomain, byVLAN, byGroup, byReason}

	observedLabels = []LabelInfo{byInterface, byDirection, byVLAN, byGroup, bySource}
	routeLabels    = []LabelInfo{byInterface, byGroup, bySource}
)

var families = [numFamilies]FamilyInfo{
	GroupPackets:   {"fanlight_group_packets_total", "fanlight.group.packets", "Datagrams received for the group.", CounterType, "packets", groupLabels},
	GroupBytes:     {"fanlight_group_bytes_total", "fanlight.group.bytes", "Frame bytes of datagrams received for the group, without FCS.", CounterType, "bytes", groupLabels},
	GroupCopies:    {"fanlight_group_copies_total", "fanlight.group.copies", "Datagrams copied to ports for the group, copies that were lost included.", CounterType, "packets", groupLabels},
	GroupCopyBytes: {"fanlight_group_copy_bytes_total", "fanlight.group.copy.bytes", "Frame bytes copied to ports for the group, copies that were lost included.", CounterType, "bytes", groupLabels},
	GroupMembers:   {"fanlight_group_members", "fanlight.group.members", "Ports that subscribe to the group now.", GaugeType, "ports", groupLabels},
	GroupInfo: {"fanlight_group_info", "fanlight.group.info", "What the group is called, by the operator's names or IANA's registry; the value is 1.", GaugeType, "",
		[]LabelInfo{byDomain, byVLAN, byGroup, {"name", GroupName}}},
	PortCopies:    {"fanlight_port_copies_total", "fanlight.port.copies", "Datagrams of the group copied to the port, lost copies included; what was flooded has no group.", CounterType, "packets", portLabels},
	PortCopyBytes: {"fanlight_port_copy_bytes_total", "fanlight.port.copy.bytes", "Frame bytes of the group copied to the port, lost copies included; what was flooded has no group.", CounterType, "bytes", portLabels},
	CopyFailures: {"fanlight_copy_failures_total", "fanlight.copy.failures", "Copies that did not get through the port, by reason; copies minus failures is what was delivered. The interface is empty for ports that are gone.", CounterType, "packets",
		[]LabelInfo{byDomain, byVLAN, byGroup, byInterface, byReason}},
	SourcePackets: {"fanlight_source_packets_total", "fanlight.source.packets", "Datagrams that the source sent to the group.", CounterType, "packets", sourceLabels},
	SourceBytes:   {"fanlight_source_bytes_total", "fanlight.source.bytes", "Frame bytes that the source sent to the group.", CounterType, "bytes", sourceLabels},
	Drops:         {"fanlight_drops_total", "fanlight.drops", "Datagrams that were not forwarded, by reason.", CounterType, "packets", dropLabels},
	DropBytes:     {"fanlight_drop_bytes_total", "fanlight.drop.bytes", "Frame bytes of datagrams that were not forwarded, by reason.", CounterType, "bytes", dropLabels},
	PacketsSeen: {"fanlight_packets_seen_total", "fanlight.packets.seen", "Packets that the datapath saw on the interface, by what became of them.", CounterType, "packets",
		[]LabelInfo{byInterface, {"verdict", Public}}},
	PortAttachFailures: {"fanlight_port_attach_failures_total", "fanlight.port.attach.failures", "Ports that could not be attached; the log says why.", CounterType, "ports", []LabelInfo{byDomain}},
	IGMPMessages: {"fanlight_igmp_messages_total", "fanlight.igmp.messages", "IGMP and MLD messages received.", CounterType, "messages",
		[]LabelInfo{byDomain, byInterface, {"type", Public}, {"version", Public}}},
	IGMPErrors: {"fanlight_igmp_errors_total", "fanlight.igmp.errors", "IGMP and MLD messages refused, accepted in spite of a failed check, or not sent, by reason.", CounterType, "messages",
		[]LabelInfo{byDomain, byInterface, byReason}},
	IGMPRecordErrors: {"fanlight_igmp_record_errors_total", "fanlight.igmp.record.errors", "Group records of IGMP and MLD reports that changed nothing, by reason.", CounterType, "records",
		[]LabelInfo{byDomain, byInterface, byReason}},
	QuerierInfo: {"fanlight_querier_info", "fanlight.querier.info", "Queriers known; the value is 1.", GaugeType, "",
		[]LabelInfo{byDomain, byVLAN, {"address", QuerierAddress}, {"state", Public}}},
	QuerierLastSeen: {"fanlight_querier_last_seen_timestamp_seconds", "fanlight.querier.last_seen.timestamp", "When the querier's last query came.", GaugeType, "seconds",
		[]LabelInfo{byDomain, byVLAN, {"address", QuerierAddress}}},
	QuerierKnown: {"fanlight_querier_known", "fanlight.querier.known", "1 if somebody asks for members, this agent included; 0 if nobody does, and hosts soon fall silent.", GaugeType, "",
		[]LabelInfo{byDomain, byVLAN, {"protocol", Public}}},
	TableEntries:   {"fanlight_table_entries", "fanlight.table.entries", "Entries in the table now.", GaugeType, "entries", []LabelInfo{byTable}},
	TableCapacity:  {"fanlight_table_capacity", "fanlight.table.capacity", "Entries that the table can hold.", GaugeType, "entries", []LabelInfo{byTable}},
	TableRefused:   {"fanlight_table_refused_total", "fanlight.table.refused", "Entries that found no room in the table; what they count went to a common entry.", CounterType, "entries", []LabelInfo{byTable}},
	EventsProduced: {"fanlight_events_produced_total", "fanlight.events.produced", "Events made, in the kernel and in the agent.", CounterType, "events", []LabelInfo{byKind}},
	EventsLost: {"fanlight_events_lost_total", "fanlight.events.lost", "Events lost on the way out, by stage and reason.", CounterType, "events",
		[]LabelInfo{byStage, byReason}},
	SinkEvents: {"fanlight_sink_events_total", "fanlight.sink.events", "Events that the exporter is done with, by what became of them: delivered, filtered or lost.", CounterType, "events",
		[]LabelInfo{byExporter, {"outcome", Public}}},
	SinkLost: {"fanlight_sink_lost_total", "fanlight.sink.lost", "Events that the exporter lost, by stage and reason.", CounterType, "events",
		[]LabelInfo{byExporter, byStage, byReason}},
	SinkRecovered: {"fanlight_sink_recovered_total", "fanlight.sink.recovered", "Events that an earlier agent left in the exporter's spool.", CounterType, "events", []LabelInfo{byExporter}},
	SinkWaiting:   {"fanlight_sink_waiting", "fanlight.sink.waiting", "Events that wait for the exporter now, in memory and in its spool.", GaugeType, "events", []LabelInfo{byExporter}},
	SinkLag:       {"fanlight_sink_lag_seconds", "fanlight.sink.lag", "Age of the oldest event that waits for the exporter.", GaugeType, "seconds", []LabelInfo{byExporter}},
	SinkRetries:   {"fanlight_sink_retries_total", "fanlight.sink.retries", "Exports that were to be repeated.", CounterType, "exports", []LabelInfo{byExporter}},
	SinkFailing:   {"fanlight_sink_failing", "fanlight.sink.failing", "1 if the exporter's last export failed.", GaugeType, "", []LabelInfo{byExporter}},
	SpoolBytes:    {"fanlight_spool_bytes", "fanlight.spool.bytes", "Size of the exporter's spool on disk.", GaugeType, "bytes", []LabelInfo{byExporter}},
	SpoolCapacity: {"fanlight_spool_capacity_bytes", "fanlight.spool.capacity", "Size that the exporter's spool may have.", GaugeType, "bytes", []LabelInfo{byExporter}},
	Redactions: {"fanlight_redactions_total", "fanlight.redactions", "Fields of events that were not kept as they are, by the exporter whose policy it was, or default.", CounterType, "fields",
		[]LabelInfo{byExporter, {"field", Public}, {"action", Public}}},
	SinkActions: {"fanlight_sink_actions_total", "fanlight.sink.actions", "What an exporter did besides delivering, such as rotating a file, connecting, or cutting off a long message.", CounterType, "actions",
		[]LabelInfo{byExporter, {"action", Public}}},
	RedactionFailures: {"fanlight_redaction_failures_total", "fanlight.redaction.failures", "Events and series dropped because they could not be redacted.", CounterType, "events",
		[]LabelInfo{byReason}},
	SeriesOverflow: {"fanlight_series_overflow_total", "fanlight.series.overflow", "Series folded into the metric's other series because its budget was spent.", CounterType, "series",
		[]LabelInfo{{"metric", Public}}},
	BuildInfo: {"fanlight_build_info", "fanlight.build.info", "What runs here; the value is 1.", GaugeType, "",
		[]LabelInfo{{"version", Build}, {"revision", Build}, {"goversion", Build}}},
	ConfigLastReloadSuccess: {"fanlight_config_last_reload_success_timestamp_seconds", "fanlight.config.last_reload.success.timestamp", "When a configuration was last accepted.", GaugeType, "seconds", nil},
	ConfigLastReloadOK:      {"fanlight_config_last_reload_successful", "fanlight.config.last_reload.successful", "1 if the last configuration was accepted, 0 if it was refused.", GaugeType, "", nil},
	Scrapes:                 {"fanlight_scrapes_total", "fanlight.scrapes", "Requests for the metrics page, by HTTP status.", CounterType, "requests", []LabelInfo{{"code", Public}}},
	ScrapeRefused: {"fanlight_scrape_refused_total", "fanlight.scrape.refused", "Families of the agent's own metrics left out of a page: unknown to redaction, or failed.", CounterType, "families",
		[]LabelInfo{byReason}},
	LiveViewers: {"fanlight_live_viewers", "fanlight.live.viewers", "Browsers that follow the live page now.", GaugeType, "viewers", nil},
	LiveViewersGone: {"fanlight_live_viewers_gone_total", "fanlight.live.viewers.gone", "Browsers that followed the live page, by what became of them: left, slow (they did not read, and were dropped) or refused (there were too many).", CounterType, "viewers",
		[]LabelInfo{{"outcome", Public}}},
	LiveRequests: {"fanlight_live_requests_total", "fanlight.live.requests", "Requests for the live page and its data, by HTTP status.", CounterType, "requests",
		[]LabelInfo{{"code", Public}}},
	MetricExports: {"fanlight_metric_exports_total", "fanlight.metric.exports", "Requests with metrics sent by OTLP, by what became of them.", CounterType, "requests",
		[]LabelInfo{byExporter, {"outcome", Public}}},
	APIRequests: {"fanlight_api_requests_total", "fanlight.api.requests", "Requests to the local API, by HTTP status; connections that found no place count as 503.", CounterType, "requests",
		[]LabelInfo{{"code", Public}}},
	APIConnections: {"fanlight_api_connections", "fanlight.api.connections", "Connections to the local API now, by unix or tcp.", GaugeType, "connections",
		[]LabelInfo{{"transport", Public}}},
	APIStreams: {"fanlight_api_streams", "fanlight.api.streams", "Clients of the local API that read events now.", GaugeType, "clients", nil},
	APIStreamLost: {"fanlight_api_stream_lost_total", "fanlight.api.stream.lost", "Events that clients of the local API were told they do not get: slow_reader, the client fell behind all that is kept; missing, they were lost before.", CounterType, "events",
		[]LabelInfo{byReason}},
	HistoryEvents:    {"fanlight_history_events", "fanlight.history.events", "Events that the history holds.", GaugeType, "events", nil},
	HistoryBytes:     {"fanlight_history_bytes", "fanlight.history", "Size of the history, in memory or on disk.", GaugeType, "bytes", nil},
	HistorySince:     {"fanlight_history_since_timestamp_seconds", "fanlight.history.since.timestamp", "From when on the history holds all events.", GaugeType, "seconds", nil},
	HistoryLost:      {"fanlight_history_lost_total", "fanlight.history.lost", "Events of the history that were dropped though there was room: the disk failed, or what it held came back damaged.", CounterType, "events", nil},
	JoinLatency:      {"fanlight_join_latency_seconds", "fanlight.join.latency", "Time from the arrival of a report to the first packet that was copied to the new subscriber.", HistogramType, "seconds", nil},
	LeaveLatency:     {"fanlight_leave_latency_seconds", "fanlight.leave.latency", "Time from the arrival of a leave to the last packet that was copied to the subscriber.", HistogramType, "seconds", nil},
	ObservedPackets:  {"fanlight_observed_packets_total", "fanlight.observed.packets", "Datagrams of the stream seen on the interface. Without a group: of streams that had no room of their own, or are forgotten.", CounterType, "packets", observedLabels},
	ObservedBytes:    {"fanlight_observed_bytes_total", "fanlight.observed.bytes", "Frame bytes of the stream seen on the interface, without FCS.", CounterType, "bytes", observedLabels},
	ObservedLastSeen: {"fanlight_observed_last_seen_timestamp_seconds", "fanlight.observed.last_seen.timestamp", "When the stream's last packet passed.", GaugeType, "seconds", observedLabels},
	ObservedPeakPackets: {"fanlight_observed_peak_packets", "fanlight.observed.peak.packets", "Most datagrams of the stream in one window since the last scrape.", GaugeType, "packets",
		withLabel(observedLabels, LabelInfo{"window", Public})},
	ObservedPeakBytes: {"fanlight_observed_peak_bytes", "fanlight.observed.peak", "Most frame bytes of the stream in one window since the last scrape.", GaugeType, "bytes",
		withLabel(observedLabels, LabelInfo{"window", Public})},
	ObservedLongestGap: {"fanlight_observed_longest_gap_seconds", "fanlight.observed.longest_gap", "Longest time between two packets of the stream since the last scrape.", GaugeType, "seconds", observedLabels},
	ObservedGaps: {"fanlight_observed_gaps_total", "fanlight.observed.gaps", "Times between two packets of the stream of at most up_to seconds: the buckets of a histogram, for each stream.", CounterType, "gaps",
		withLabel(observedLabels, LabelInfo{"up_to", Public})},
	ObservedTTL:  {"fanlight_observed_ttl", "fanlight.observed.ttl", "TTL or hop limit of the stream's last packet.", GaugeType, "", observedLabels},
	ObservedDSCP: {"fanlight_observed_dscp", "fanlight.observed.dscp", "DSCP of the stream's last packet.", GaugeType, "", observedLabels},
	ObservedChanges: {"fanlight_observed_changes_total", "fanlight.observed.changes", "Changes of the stream's TTL or DSCP from one packet to the next.", CounterType, "changes",
		withLabel(observedLabels, LabelInfo{"field", Public})},
	ObservedSources: {"fanlight_observed_sources", "fanlight.observed.sources", "Sources of the group that are not silent.", GaugeType, "sources", []LabelInfo{byInterface, byDirection, byVLAN, byGroup}},
	ObservedGroupState: {"fanlight_observed_group_state", "fanlight.observed.group.state", "1 for the state of the group on the interface: ok, silent (somebody subscribes, nothing arrives) or unsubscribed (data arrives, nobody is known to want it).", GaugeType, "",
		[]LabelInfo{byInterface, byVLAN, byGroup, {"state", Public}}},
	ObservedMemberships: {"fanlight_observed_memberships", "fanlight.observed.memberships", "Sockets and other users of this host that joined the group on the interface.", GaugeType, "users", []LabelInfo{byInterface, byGroup}},
	ObservedBridgePorts: {"fanlight_observed_bridge_ports", "fanlight.observed.bridge.ports", "Ports of the Linux bridge that its database has for the group.", GaugeType, "ports", []LabelInfo{byInterface, byVLAN, byGroup}},
	ObservedMessages: {"fanlight_observed_igmp_messages_total", "fanlight.observed.igmp.messages", "IGMP, MLD and PIM messages that passed the interface.", CounterType, "messages",
		[]LabelInfo{byInterface, byDirection, {"type", Public}, {"version", Public}}},
	ObservedMessageErrors: {"fanlight_observed_igmp_errors_total", "fanlight.observed.igmp.errors", "IGMP, MLD and PIM messages that passed the interface and broke a rule, by reason.", CounterType, "messages",
		[]LabelInfo{byInterface, byDirection, byReason}},
	ObservedQuerierInfo: {"fanlight_observed_querier_info", "fanlight.observed.querier.info", "Queriers heard on the interface; the value is 1.", GaugeType, "",
		[]LabelInfo{byInterface, byVLAN, {"address", QuerierAddress}, {"version", Public}}},
	ObservedQuerierLastSeen: {"fanlight_observed_querier_last_seen_timestamp_seconds", "fanlight.observed.querier.last_seen.timestamp", "When the querier's last query passed.", GaugeType, "seconds",
		[]LabelInfo{byInterface, byVLAN, {"address", QuerierAddress}}},
	ObservedRoutePackets:        {"fanlight_observed_route_packets_total", "fanlight.observed.route.packets", "Packets that the kernel's multicast route forwarded, by the interface that they come from.", CounterType, "packets", routeLabels},
	ObservedRouteBytes:          {"fanlight_observed_route_bytes_total", "fanlight.observed.route.bytes", "Bytes that the kernel's multicast route forwarded.", CounterType, "bytes", routeLabels},
	ObservedRouteWrongInterface: {"fanlight_observed_route_wrong_interface_total", "fanlight.observed.route.wrong_interface", "Packets of the kernel's multicast route that came in on another interface than its own.", CounterType, "packets", routeLabels},
	ObservedInterfaces:          {"fanlight_observed_interfaces", "fanlight.observed.interfaces", "Interfaces that are observed now.", GaugeType, "interfaces", nil},
	ObserveFailures: {"fanlight_observe_failures_total", "fanlight.observe.failures", "What observing missed, by reason: table_full (counted without its stream), malformed, rate_limited and ring_full (messages), attach, unsupported_device, read.", CounterType, "failures",
		[]LabelInfo{byReason}},
}

// withLabel returns the labels and one more.
func withLabel(labels []LabelInfo, more LabelInfo) []LabelInfo {
	return append(labels[:len(labels):len(labels)], more)
}

// Info returns the family's description.
func (f Family) Info() FamilyInfo { return families[f] }

// Families returns the description of every family, in the order of a page.
func Families() []FamilyInfo { return append([]FamilyInfo(nil), families[:]...) }

// FamilyNamed finds a family by its metric name.
func FamilyNamed(name string) (Family, bool) {
	for f := range numFamilies {
		if families[f].Name == name {
			return f, true
		}
	}
	return 0, false
}
