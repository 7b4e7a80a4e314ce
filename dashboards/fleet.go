package dashboards

// fleet is where to begin: all hosts at a glance, and where to look next.
func fleet() board {
	return board{
		uid: "fanlight-fleet", title: "Fanlight / Fleet", scope: "DOMAIN",
		help:      "All hosts: what comes in, how it fans out, and what is lost where.",
		variables: []variable{chooseCluster, chooseHost, chooseDomain},
		rows: []row{
			{"Now", 4, []panel{
				{
					kind: stat, title: "Agents", unit: "none", width: 3,
					help:    "Hosts whose agent answers.",
					queries: []query{{`count(fanlight_build_info{HOST})`, ""}},
				}, {
					kind: stat, title: "Agents down", unit: "none", width: 3, bad: 1,
					help:    "Hosts whose metrics page can't be read. Their kernels forward on to the members known then.",
					queries: []query{{`count(up{job="fanlight",HOST} == 0) or vector(0)`, ""}},
				}, {
					kind: stat, title: "Alerts", unit: "none", width: 3, bad: 1,
					help:    "Alerts that fire now.",
					queries: []query{{`count(ALERTS{alertname=~"Fanlight.*",alertstate="firing",HOST}) or vector(0)`, ""}},
				}, {
					kind: stat, title: "Groups", unit: "none", width: 3,
					help:    "Groups with subscribers, those of each domain, VLAN and host counted apart.",
					queries: []query{{`count(fanlight_group_members{DOMAIN})`, ""}},
				}, {
					kind: stat, title: "Subscribers", unit: "none", width: 3,
					help:    "Subscribed ports, those of all groups added up.",
					queries: []query{{`sum(fanlight_group_members{DOMAIN})`, ""}},
				}, {
					kind: stat, title: "Received", unit: "pps", width: 3,
					help:    "Datagrams per second that came in for groups.",
					queries: []query{{`sum(rate(fanlight_group_packets_total{DOMAIN}[$__rate_interval]))`, ""}},
				}, {
					kind: stat, title: "Copies lost", unit: "pps", width: 3, bad: 0.001,
					help:    "Copies per second that did not get through their port.",
					queries: []query{{`sum(rate(fanlight_copy_failures_total{DOMAIN}[$__rate_interval])) or vector(0)`, ""}},
				}, {
					kind: stat, title: "Dropped", unit: "pps", width: 3,
					help:    "Datagrams per second that were not forwarded, those that nobody joined included.",
					queries: []query{{`sum(rate(fanlight_drops_total{DOMAIN}[$__rate_interval])) or vector(0)`, ""}},
				},
			}},
			{"Traffic", 8, []panel{
				{
					kind: graph, title: "Received by host", unit: "bps", width: 8,
					help:    "Frame bits per second that came in for groups.",
					queries: []query{{`8 * sum by (instance) (rate(fanlight_group_bytes_total{DOMAIN}[$__rate_interval]))`, "{{instance}}"}},
				}, {
					kind: graph, title: "Copied by host", unit: "bps", width: 8,
					help:    "Frame bits per second that were copied to ports, lost copies included.",
					queries: []query{{`8 * sum by (instance) (rate(fanlight_group_copy_bytes_total{DOMAIN}[$__rate_interval]))`, "{{instance}}"}},
				}, {
					kind: graph, title: "Fan-out by domain", unit: "none", width: 8,
					help: "Copies per datagram: into how many one fans out on average.",
					queries: []query{{`sum by (instance, domain) (rate(fanlight_group_copies_total{DOMAIN}[$__rate_interval])) / ` +
						`(sum by (instance, domain) (rate(fanlight_group_packets_total{DOMAIN}[$__rate_interval])) > 0)`, "{{domain}} at {{instance}}"}},
				},
			}},
			{"Losses", 8, []panel{
				{
					kind: graph, title: "Copies lost by reason", unit: "pps", width: 8,
					help:    "Copies that did not get through their port. 'fanlight explain REASON' says what helps.",
					queries: []query{{`sum by (instance, reason) (rate(fanlight_copy_failures_total{DOMAIN}[$__rate_interval]))`, "{{reason}} at {{instance}}"}},
				}, {
					kind: graph, title: "Drops by reason", unit: "pps", width: 8,
					help:    "Datagrams that were not forwarded. What nobody joined (unregistered) is no loss.",
					queries: []query{{`sum by (instance, reason) (rate(fanlight_drops_total{DOMAIN}[$__rate_interval]))`, "{{reason}} at {{instance}}"}},
				}, {
					kind: graph, title: "Firing alerts", unit: "none", width: 8,
					help:    "Alerts by name; each links to its runbook.",
					queries: []query{{`count by (alertname) (ALERTS{alertname=~"Fanlight.*",alertstate="firing",HOST})`, "{{alertname}}"}},
				},
			}},
			{"Where to look next", 9, []panel{
				{
					kind: table, title: "Busiest groups", unit: "pps", width: 12,
					help: "Groups by datagrams received per second. The group dashboard shows each in detail.",
					queries: []query{
						{`topk(10, sum by (domain, vlan, group) (rate(fanlight_group_packets_total{DOMAIN}[$__rate_interval])))`, "Received/s"},
					},
				}, {
					kind: table, title: "Ports that lose most", unit: "pps", width: 12,
					help: "Ports and groups by copies lost per second.",
					queries: []query{
						{`topk(10, sum by (instance, interface, group, reason) (rate(fanlight_copy_failures_total{DOMAIN}[$__range])) > 0)`, "Lost/s"},
					},
				},
			}},
		},
	}
}
