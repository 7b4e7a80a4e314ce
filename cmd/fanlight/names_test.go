package main

import (
	"slices"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
)

// promised are the metrics and labels that users were promised first. Dashboards
// and alerts hang on them: none may be renamed or lose a label.
var promised = map[string][]string{
	"fanlight_group_packets_total":                          {"domain", "group"},
	"fanlight_group_bytes_total":                            {"domain", "group"},
	"fanlight_group_copies_total":                           {"domain", "group"},
	"fanlight_group_copy_bytes_total":                       {"domain", "group"},
	"fanlight_group_members":                                {"domain", "group"},
	"fanlight_port_copies_total":                            {"domain", "group", "interface"},
	"fanlight_port_copy_bytes_total":                        {"domain", "group", "interface"},
	"fanlight_copy_failures_total":                          {"domain", "group", "interface", "reason"},
	"fanlight_source_packets_total":                         {"domain", "group", "source"},
	"fanlight_source_bytes_total":                           {"domain", "group", "source"},
	"fanlight_drops_total":                                  {"domain", "group", "reason"},
	"fanlight_drop_bytes_total":                             {"domain", "group", "reason"},
	"fanlight_packets_seen_total":                           {"interface", "verdict"},
	"fanlight_igmp_messages_total":                          {"domain", "interface", "type", "version"},
	"fanlight_igmp_errors_total":                            {"domain", "interface", "reason"},
	"fanlight_querier_info":                                 {"domain", "address", "state"},
	"fanlight_querier_last_seen_timestamp_seconds":          {"domain", "address"},
	"fanlight_querier_known":                                {"domain", "protocol"},
	"fanlight_table_entries":                                {"table"},
	"fanlight_table_capacity":                               {"table"},
	"fanlight_events_produced_total":                        {"kind"},
	"fanlight_events_lost_total":                            {"stage", "reason"},
	"fanlight_series_overflow_total":                        {"metric"},
	"fanlight_build_info":                                   {},
	"fanlight_config_last_reload_success_timestamp_seconds": {},
	"fanlight_join_latency_seconds":                         {},
	"fanlight_leave_latency_seconds":                        {},
}

func TestPromisedMetricsKeepTheirNames(t *testing.T) {
	for name, labels := range promised {
		f, ok := redact.FamilyNamed(name)
		if !ok {
			t.Errorf("%s is gone", name)
			continue
		}
		for _, label := range labels {
			if !slices.ContainsFunc(f.Info().Labels, func(l redact.LabelInfo) bool { return l.Name == label }) {
				t.Errorf("%s has lost its label %s", name, label)
			}
		}
	}
}
