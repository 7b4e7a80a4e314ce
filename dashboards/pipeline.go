package dashboards

// pipeline shows what became of every event, and how the agent itself does.
func pipeline() board {
	return board{
		uid: "fanlight-pipeline", title: "Fanlight / Pipeline", scope: "HOST",
		help:      "Events on their way out: exporters, the loss equation, queues, spools, redaction, configuration.",
		variables: []variable{chooseCluster, chooseHost, chooseExporter},
		rows: []row{
			{"Now", 4, []panel{
				{
					kind: stat, title: "Events lost", unit: "none", width: 4, bad: 1,
					help:    "Events lost since the agent started. Those that several exporters lost count for each.",
					queries: []query{{`sum(fanlight_events_lost_total{HOST})`, ""}},
				}, {
					kind: stat, title: "Unaccounted", unit: "none", width: 4,
					help: "By how much produced + recovered − delivered − filtered − lost − waiting has changed within five minutes, at most. " +
						"More than what is on its way in the agent would be a fault of fanlight.",
					queries: []query{{`max(abs(UNACCOUNTED))`, ""}},
				}, {
					kind: stat, title: "Failing exporters", unit: "none", width: 4, bad: 1,
					help:    "Exporters whose last export failed.",
					queries: []query{{`sum(fanlight_sink_failing{EXPORTER})`, ""}},
				}, {
					kind: stat, title: "Not redacted, and dropped", unit: "none", width: 4, bad: 1,
					help:    "Events and series that could not be redacted since the agent started. Nothing of them left the host.",
					queries: []query{{`sum(fanlight_redaction_failures_total{HOST})`, ""}},
				}, {
					kind: stat, title: "Refused configurations", unit: "none", width: 4, bad: 1,
					help:    "Hosts that refused the configuration that they were told to read last.",
					queries: []query{{`count(fanlight_config_last_reload_successful{HOST} == 0) or vector(0)`, ""}},
				}, {
					kind: stat, title: "Configuration accepted", unit: "s", width: 4,
					help:    "How long ago a configuration was last accepted.",
					queries: []query{{`min(time() - fanlight_config_last_reload_success_timestamp_seconds{HOST})`, ""}},
				},
			}},
			{"Events", 8, []panel{
				{
					kind: graph, title: "Produced by kind", unit: "eps", width: 8,
					help:    "Events made, in the kernel and in the agent.",
					queries: []query{{`sum by (kind) (rate(fanlight_events_produced_total{HOST}[$__rate_interval]))`, "{{kind}}"}},
				}, {
					kind: graph, title: "What became of them", unit: "eps", width: 8,
					help:    "Events that each exporter is done with.",
					queries: []query{{`sum by (exporter, outcome) (rate(fanlight_sink_events_total{EXPORTER}[$__rate_interval]))`, "{{exporter}}: {{outcome}}"}},
				}, {
					kind: graph, title: "Unaccounted", unit: "none", width: 8,
					help:    "Change of produced + recovered − delivered − filtered − lost − waiting within five minutes: nothing but what is on its way.",
					queries: []query{{`UNACCOUNTED`, "{{exporter}} at {{instance}}"}},
				},
			}},
			{"Losses", 8, []panel{
				{
					kind: graph, title: "Lost by stage and reason", unit: "none", width: 8,
					help:    "Events lost since the agent started: in a ring of the kernel, in decoding, in a queue, in a spool, in export.",
					queries: []query{{`sum by (stage, reason) (fanlight_events_lost_total{HOST})`, "{{stage}}: {{reason}}"}},
				}, {
					kind: graph, title: "Lost by exporter", unit: "none", width: 8,
					help:    "The same for each exporter.",
					queries: []query{{`sum by (exporter, stage, reason) (fanlight_sink_lost_total{EXPORTER})`, "{{exporter}}: {{stage}}, {{reason}}"}},
				}, {
					kind: graph, title: "Retries", unit: "ops", width: 8,
					help:    "Exports that had to be repeated.",
					queries: []query{{`sum by (instance, exporter) (rate(fanlight_sink_retries_total{EXPORTER}[$__rate_interval]))`, "{{exporter}}"}},
				},
			}},
			{"Queues and spools", 8, []panel{
				{
					kind: graph, title: "Waiting", unit: "none", width: 6,
					help:    "Events in memory and in the spool.",
					queries: []query{{`sum by (instance, exporter) (fanlight_sink_waiting{EXPORTER})`, "{{exporter}}"}},
				}, {
					kind: graph, title: "Lag", unit: "s", width: 6,
					help:    "Age of the oldest event that waits.",
					queries: []query{{`max by (instance, exporter) (fanlight_sink_lag_seconds{EXPORTER})`, "{{exporter}}"}},
				}, {
					kind: bars, title: "Spools in use", unit: "percentunit", width: 6, bad: 0.8, most: 1,
					help:    "How full the spools on disk are.",
					queries: []query{{`max by (instance, exporter) (fanlight_spool_bytes{EXPORTER} / fanlight_spool_capacity_bytes{EXPORTER})`, "{{exporter}} at {{instance}}"}},
				}, {
					kind: graph, title: "Recovered", unit: "none", width: 6,
					help:    "Events that an earlier agent left in the spool.",
					queries: []query{{`sum by (instance, exporter) (fanlight_sink_recovered_total{EXPORTER})`, "{{exporter}}"}},
				},
			}},
			{"Redaction and metrics", 8, []panel{
				{
					kind: graph, title: "Redacted fields", unit: "ops", width: 6,
					help:    "Fields of events that were not kept as they are, by action.",
					queries: []query{{`sum by (exporter, action) (rate(fanlight_redactions_total{HOST}[$__rate_interval]))`, "{{exporter}}: {{action}}"}},
				}, {
					kind: graph, title: "Actions of exporters", unit: "ops", width: 6,
					help:    "What exporters do besides delivering, such as connecting and rotating files.",
					queries: []query{{`sum by (exporter, action) (rate(fanlight_sink_actions_total{EXPORTER}[$__rate_interval]))`, "{{exporter}}: {{action}}"}},
				}, {
					kind: graph, title: "Metric pages and exports", unit: "reqps", width: 6,
					help: "Requests for the metrics page by status, families left out of it, and metrics sent by OTLP by outcome.",
					queries: []query{
						{`sum by (code) (rate(fanlight_scrapes_total{HOST}[$__rate_interval]))`, "page: {{code}}"},
						{`sum by (reason) (rate(fanlight_scrape_refused_total{HOST}[$__rate_interval]))`, "left out: {{reason}}"},
						{`sum by (exporter, outcome) (rate(fanlight_metric_exports_total{HOST}[$__rate_interval]))`, "{{exporter}}: {{outcome}}"},
					},
				}, {
					kind: graph, title: "Series beyond the budget", unit: "none", width: 6,
					help:    "Series folded into the metric's series 'other' since the agent started.",
					queries: []query{{`sum by (metric) (fanlight_series_overflow_total{HOST})`, "{{metric}}"}},
				},
			}},
			{"Local API and history", 8, []panel{
				{
					kind: graph, title: "Requests to the local API", unit: "reqps", width: 6,
					help:    "Requests by HTTP status; 503 are those that found no place.",
					queries: []query{{`sum by (code) (rate(fanlight_api_requests_total{HOST}[$__rate_interval]))`, "{{code}}"}},
				}, {
					kind: graph, title: "Clients of the local API", unit: "none", width: 6,
					help: "Connections now, and clients that read events.",
					queries: []query{
						{`sum by (transport) (fanlight_api_connections{HOST})`, "{{transport}} connections"},
						{`sum(fanlight_api_streams{HOST})`, "readers of events"},
					},
				}, {
					kind: graph, title: "Events that were not kept or read", unit: "none", width: 6,
					help: "Events since the agent started that clients of the local API were told they do not get, and that the history lost.",
					queries: []query{
						{`sum by (reason) (fanlight_api_stream_lost_total{HOST})`, "client: {{reason}}"},
						{`sum(fanlight_history_lost_total{HOST})`, "history"},
					},
				}, {
					kind: table, title: "History", unit: "none", width: 6,
					help: "Events that the history holds, its size in bytes, and for how many seconds it goes back.",
					queries: []query{
						{`sum by (instance) (fanlight_history_events{HOST})`, "Events"},
						{`sum by (instance) (fanlight_history_bytes{HOST})`, "Bytes"},
						{`max by (instance) (time() - fanlight_history_since_timestamp_seconds{HOST})`, "Seconds"},
					},
				},
			}},
			{"Live page", 8, []panel{
				{
					kind: graph, title: "Browsers at the live page", unit: "none", width: 12,
					help: "Browsers that follow it now, and since the agent started those that were too slow or too many.",
					queries: []query{
						{`sum(fanlight_live_viewers{HOST})`, "now"},
						{`sum by (outcome) (fanlight_live_viewers_gone_total{HOST})`, "{{outcome}}"},
					},
				}, {
					kind: graph, title: "Requests for the live page", unit: "reqps", width: 12,
					help:    "Requests for the page and its data, by HTTP status.",
					queries: []query{{`sum by (code) (rate(fanlight_live_requests_total{HOST}[$__rate_interval]))`, "{{code}}"}},
				},
			}},
		},
	}
}
