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

	groupLabels  = []LabelInfo{byDomain, byVLAN, byGroup}
	portLabels   = []LabelInfo{byDomain, byVLAN, byGroup, byInterface}
	sourceLabels = []LabelInfo{byDomain, byVLAN, byGroup, bySource}
	dropLabels   = []LabelInfo{byDomain, byVLAN, byGroup, byReason}
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
	HistoryEvents: {"fanlight_history_events", "fanlight.history.events", "Events that the history holds.", GaugeType, "events", nil},
	HistoryBytes:  {"fanlight_history_bytes", "fanlight.history", "Size of the history, in memory or on disk.", GaugeType, "bytes", nil},
	HistorySince:  {"fanlight_history_since_timestamp_seconds", "fanlight.history.since.timestamp", "From when on the history holds all events.", GaugeType, "seconds", nil},
	HistoryLost:   {"fanlight_history_lost_total", "fanlight.history.lost", "Events of the history that were dropped though there was room: the disk failed, or what it held came back damaged.", CounterType, "events", nil},
	JoinLatency:   {"fanlight_join_latency_seconds", "fanlight.join.latency", "Time from the arrival of a report to the first packet that was copied to the new subscriber.", HistogramType, "seconds", nil},
	LeaveLatency:  {"fanlight_leave_latency_seconds", "fanlight.leave.latency", "Time from the arrival of a leave to the last packet that was copied to the subscriber.", HistogramType, "seconds", nil},
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
