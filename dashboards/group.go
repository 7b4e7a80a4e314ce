package dashboards

// group follows a group from its sources to its subscribers.
func group() board {
	return board{
		uid: "fanlight-group", title: "Fanlight / Group", scope: "GROUP",
		help:      "One group, or some: sources, subscribers, fan-out, rates and peaks, drops by reason, joins and leaves.",
		variables: []variable{chooseCluster, chooseHost, chooseDomain, chooseGroup},
		rows: []row{
			{"Now", 4, []panel{
				{
					kind: stat, title: "Sources", unit: "none", width: 4,
					help:    "Sources that send now.",
					queries: []query{{`count(sum by (domain, vlan, group, source) (rate(fanlight_source_packets_total{GROUP}[$__rate_interval])) > 0) or vector(0)`, ""}},
				}, {
					kind: stat, title: "Subscribers", unit: "none", width: 4,
					help:    "Ports that subscribe now.",
					queries: []query{{`sum(fanlight_group_members{GROUP})`, ""}},
				}, {
					kind: stat, title: "Fan-out", unit: "none", width: 4,
					help: "Copies per datagram. Less than the number of subscribers: some want single sources only.",
					queries: []query{{`sum(rate(fanlight_group_copies_total{GROUP}[$__rate_interval])) / ` +
						`(sum(rate(fanlight_group_packets_total{GROUP}[$__rate_interval])) > 0)`, ""}},
				}, {
					kind: stat, title: "Rate", unit: "bps", width: 4,
					help:    "Frame bits received per second.",
					queries: []query{{`8 * sum(rate(fanlight_group_bytes_total{GROUP}[$__rate_interval]))`, ""}},
				}, {
					kind: stat, title: "Peak", unit: "bps", width: 4,
					help:    "The highest rate of a minute within the time shown. Bursts shorter than the scrape interval are flattened.",
					queries: []query{{`8 * max_over_time(sum(rate(fanlight_group_bytes_total{GROUP}[1m]))[$__range:1m])`, ""}},
				}, {
					kind: stat, title: "Copies lost", unit: "percentunit", width: 4, bad: 0.000001,
					help: "Share of the copies that did not get through their port, within the time shown.",
					queries: []query{{`(sum(increase(fanlight_copy_failures_total{GROUP}[$__range])) or vector(0)) / ` +
						`(sum(increase(fanlight_group_copies_total{GROUP}[$__range])) > 0)`, ""}},
				},
			}},
			{"Sources", 8, []panel{
				{
					kind: graph, title: "Datagrams by source", unit: "pps", width: 8,
					help:    "What each source sends. Sources are pseudonyms unless the policy shows them.",
					queries: []query{{`sum by (group, source) (rate(fanlight_source_packets_total{GROUP}[$__rate_interval]))`, "{{source}} to {{group}}"}},
				}, {
					kind: graph, title: "Bits by source", unit: "bps", width: 8,
					help:    "Frame bits of each source.",
					queries: []query{{`8 * sum by (group, source) (rate(fanlight_source_bytes_total{GROUP}[$__rate_interval]))`, "{{source}} to {{group}}"}},
				}, {
					kind: graph, title: "Peak and mean", unit: "pps", width: 8,
					help: "The highest and the mean rate of datagrams over the last minutes: a peak far above the mean is a burst.",
					queries: []query{
						{`max_over_time(sum(irate(fanlight_group_packets_total{GROUP}[$__rate_interval]))[5m:])`, "peak"},
						{`sum(rate(fanlight_group_packets_total{GROUP}[5m]))`, "mean"},
					},
				},
			}},
			{"Subscribers", 8, []panel{
				{
					kind: graph, title: "Subscribers", unit: "none", width: 8,
					help:    "Subscribed ports of each group.",
					queries: []query{{`sum by (instance, domain, vlan, group) (fanlight_group_members{GROUP})`, "{{group}} at {{instance}}"}},
				}, {
					kind: graph, title: "Joins and leaves", unit: "none", width: 8,
					help: "How many more, or fewer, subscribers than a minute before. Who joins and leaves within it is seen by events only.",
					queries: []query{
						{`sum((fanlight_group_members{GROUP} - fanlight_group_members{GROUP} offset 1m > 0) or (fanlight_group_members{GROUP} unless fanlight_group_members{GROUP} offset 1m)) or vector(0)`, "joins"},
						{`sum((fanlight_group_members{GROUP} offset 1m - fanlight_group_members{GROUP} > 0) or (fanlight_group_members{GROUP} offset 1m unless fanlight_group_members{GROUP})) or vector(0)`, "leaves"},
					},
				}, {
					kind: graph, title: "Fan-out", unit: "none", width: 8,
					help: "Copies per datagram of each group.",
					queries: []query{{`sum by (domain, vlan, group) (rate(fanlight_group_copies_total{GROUP}[$__rate_interval])) / ` +
						`(sum by (domain, vlan, group) (rate(fanlight_group_packets_total{GROUP}[$__rate_interval])) > 0)`, "{{group}}"}},
				},
			}},
			{"Copies", 8, []panel{
				{
					kind: graph, title: "Copies by port", unit: "pps", width: 8,
					help:    "Copies per second to each port, lost ones included.",
					queries: []query{{`sum by (instance, interface) (rate(fanlight_port_copies_total{GROUP}[$__rate_interval]))`, "{{interface}} at {{instance}}"}},
				}, {
					kind: graph, title: "Copies lost by port and reason", unit: "pps", width: 8,
					help:    "Copies that did not get through the port. 'fanlight explain REASON' says what helps.",
					queries: []query{{`sum by (instance, interface, reason) (rate(fanlight_copy_failures_total{GROUP}[$__rate_interval]))`, "{{interface}}: {{reason}}"}},
				}, {
					kind: graph, title: "Drops by reason", unit: "pps", width: 8,
					help:    "Datagrams to the group that were not forwarded at all.",
					queries: []query{{`sum by (group, reason) (rate(fanlight_drops_total{GROUP}[$__rate_interval]))`, "{{group}}: {{reason}}"}},
				},
			}},
			{"Ports", 9, []panel{
				{
					kind: table, title: "Names", unit: "none", width: 8,
					help:    "What the groups are called, by the operator's names or IANA's registry, if they are shown in clear.",
					queries: []query{{`max by (domain, vlan, group, name) (fanlight_group_info{GROUP})`, "Named"}},
				}, {
					kind: table, title: "Ports", unit: "none", width: 16,
					help: "What each port was given of the group within the time shown, and what it lost of it.",
					queries: []query{
						{`sum by (instance, domain, vlan, group, interface) (increase(fanlight_port_copies_total{GROUP}[$__range]))`, "Copies"},
						{`sum by (instance, domain, vlan, group, interface) (increase(fanlight_port_copy_bytes_total{GROUP}[$__range]))`, "Bytes"},
						{`sum by (instance, domain, vlan, group, interface) (increase(fanlight_copy_failures_total{GROUP}[$__range]))`, "Lost"},
					},
				},
			}},
		},
	}
}
