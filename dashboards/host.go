package dashboards

// host shows one host's ports, membership and tables.
func host() board {
	return board{
		uid: "fanlight-host", title: "Fanlight / Host", scope: "DOMAIN",
		help:      "One host: its interfaces, its membership protocol, its tables, and what the agent takes.",
		variables: []variable{chooseCluster, chooseHost, chooseDomain},
		rows: []row{
			{"Interfaces", 8, []panel{
				{
					kind: graph, title: "Packets by fate", unit: "pps", width: 8,
					help:    "Every packet that the datapath sees has one of these fates: forwarded, passed on to the host, or dropped.",
					queries: []query{{`sum by (verdict) (rate(fanlight_packets_seen_total{HOST}[$__rate_interval]))`, "{{verdict}}"}},
				}, {
					kind: graph, title: "Packets in by interface", unit: "pps", width: 8,
					help:    "Packets that came in, of all kinds.",
					queries: []query{{`sum by (instance, interface) (rate(fanlight_packets_seen_total{HOST}[$__rate_interval]))`, "{{interface}}"}},
				}, {
					kind: graph, title: "Copies out by interface", unit: "bps", width: 8,
					help:    "Frame bits per second of copies, lost ones included.",
					queries: []query{{`8 * sum by (instance, interface) (rate(fanlight_port_copy_bytes_total{DOMAIN}[$__rate_interval]))`, "{{interface}}"}},
				},
			}},
			{"Losses", 8, []panel{
				{
					kind: graph, title: "Copies lost by interface", unit: "pps", width: 8,
					help:    "Copies that did not get through the interface, by reason.",
					queries: []query{{`sum by (instance, interface, reason) (rate(fanlight_copy_failures_total{DOMAIN}[$__rate_interval]))`, "{{interface}}: {{reason}}"}},
				}, {
					kind: graph, title: "Dropped bits by reason", unit: "bps", width: 8,
					help:    "Frame bits per second that were not forwarded.",
					queries: []query{{`8 * sum by (domain, reason) (rate(fanlight_drop_bytes_total{DOMAIN}[$__rate_interval]))`, "{{reason}}"}},
				}, {
					kind: stat, title: "Ports that could not be attached", unit: "none", width: 8, bad: 1,
					help:    "Attempts that failed since the agent started; its log says why.",
					queries: []query{{`sum(fanlight_port_attach_failures_total{DOMAIN})`, ""}},
				},
			}},
			{"Membership", 8, []panel{
				{
					kind: graph, title: "IGMP and MLD messages", unit: "mps", width: 8,
					help:    "Messages heard, by type and version.",
					queries: []query{{`sum by (type, version) (rate(fanlight_igmp_messages_total{DOMAIN}[$__rate_interval]))`, "{{type}} ({{version}})"}},
				}, {
					kind: graph, title: "Messages by interface", unit: "mps", width: 8,
					help:    "Messages heard; many from one interface are a flood.",
					queries: []query{{`sum by (instance, interface) (rate(fanlight_igmp_messages_total{DOMAIN}[$__rate_interval]))`, "{{interface}}"}},
				}, {
					kind: graph, title: "Messages with errors", unit: "mps", width: 8,
					help: "Messages that were refused, accepted in spite of a failed check, or could not be sent; and group records that changed nothing.",
					queries: []query{
						{`sum by (reason) (rate(fanlight_igmp_errors_total{DOMAIN}[$__rate_interval]))`, "{{reason}}"},
						{`sum by (reason) (rate(fanlight_igmp_record_errors_total{DOMAIN}[$__rate_interval]))`, "{{reason}} (record)"},
					},
				},
			}},
			{"Queriers", 7, []panel{
				{
					kind: table, title: "Other queriers", unit: "s", width: 8,
					help: "Who else asks for members, and how long ago it last did.",
					queries: []query{
						{`max by (instance, domain, vlan, address, state) (` +
							`(time() - fanlight_querier_last_seen_timestamp_seconds{DOMAIN}) ` +
							`* on (cluster, instance, domain, vlan, address) group_left (state) fanlight_querier_info{DOMAIN})`, "Last query"},
					},
				}, {
					kind: graph, title: "Somebody asks for members", unit: "bool", width: 8,
					help:    "1 if there is a querier, the agent itself included. Without one, members expire in every switch.",
					queries: []query{{`min by (instance, domain, vlan, protocol) (fanlight_querier_known{DOMAIN})`, "{{protocol}} in {{domain}}"}},
				}, {
					kind: graph, title: "Join and leave latency", unit: "s", width: 8,
					help: "From the arrival of a report to the first copy, and of a leave to the last one: median and 99th percentile.",
					queries: []query{
						{`histogram_quantile(0.5, sum by (le) (increase(fanlight_join_latency_seconds_bucket{HOST}[$__range])))`, "join, median"},
						{`histogram_quantile(0.99, sum by (le) (increase(fanlight_join_latency_seconds_bucket{HOST}[$__range])))`, "join, 99%"},
						{`histogram_quantile(0.5, sum by (le) (increase(fanlight_leave_latency_seconds_bucket{HOST}[$__range])))`, "leave, median"},
						{`histogram_quantile(0.99, sum by (le) (increase(fanlight_leave_latency_seconds_bucket{HOST}[$__range])))`, "leave, 99%"},
					},
				},
			}},
			{"Tables and the agent", 9, []panel{
				{
					kind: bars, title: "Tables in use", unit: "percentunit", width: 8, bad: 0.8, most: 1,
					help:    "How full the kernel's tables are. What finds no room in a full one is refused, and never floods.",
					queries: []query{{`max by (table) (fanlight_table_entries{HOST} / fanlight_table_capacity{HOST})`, "{{table}}"}},
				}, {
					kind: graph, title: "Refused entries", unit: "none", width: 8,
					help:    "Entries per five minutes that found no room.",
					queries: []query{{`sum by (instance, table) (increase(fanlight_table_refused_total{HOST}[5m]))`, "{{table}}"}},
				}, {
					kind: graph, title: "Processor time of the agent", unit: "percentunit", width: 4,
					help:    "Share of one processor that the agent takes; the datapath's work is not in it.",
					queries: []query{{`rate(process_cpu_seconds_total{job="fanlight",HOST}[$__rate_interval])`, "{{instance}}"}},
				}, {
					kind: graph, title: "Memory of the agent", unit: "bytes", width: 4,
					help:    "Resident memory of the agent; kernel tables are not in it.",
					queries: []query{{`process_resident_memory_bytes{job="fanlight",HOST}`, "{{instance}}"}},
				},
			}},
		},
	}
}
