package main

import (
	"strings"
	"testing"
)

// TestErrorsOfValuesNameTheLine: not only of keys that are unknown.
func TestErrorsOfValuesNameTheLine(t *testing.T) {
	const text = `domains:
  - name: lab
    ports: [p0]
    limits:
      groups: -1
    querier: {mode: maybe}
metrics:
  budget: -7
redact:
  rules:
    - {classes: [host], action: keep}
    - classes: [host]
      action: bucket
events:
  - type: file
    path: x
    batch: {records: 0}
  - type: stdout
    format: esc
    filter:
      deny:
        - {}
    fields: [grup]
  - type: syslog
    address: h:1
    name: no-name
`
	_, err := parseConfig(strings.NewReader(text))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"line 5: domains[lab].limits.groups: -1 is negative",
		"line 6: domains[lab].querier",
		"line 8: metrics: budget -7",
		"line 12: redact: rules[1]: classes: host can't have action bucket",
		"line 17: events[0]: batch.records: 0",
		"line 19: events[1]: format \"esc\"",
		"line 22: events[1]: filter.deny[0]: has no condition",
		"line 23: events[1]: fields: no field \"grup\"",
		"line 26: events[2]: name: \"no-name\"",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
}
