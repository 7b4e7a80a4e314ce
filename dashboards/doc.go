// Package dashboards holds what people look at: Grafana dashboards, written here
// as data and rendered into grafana/, and Prometheus rules, in rules/. Its tests
// run them against a real agent, Prometheus and Alertmanager.
package dashboards
