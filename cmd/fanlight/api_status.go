package main

import (
	"net/http"
	"slices"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
)

// agentStatus is the answer to GET /v1/status.
type agentStatus struct {
	Version string `json:"version"`
	collector.Status
}

func (v viewer) status(w http.ResponseWriter, _ *http.Request) {
	status, err := v.agent.Status()
	if err != nil {
		answerError(w, err)
		return
	}
	status.Domains = slices.Clone(status.Domains) // shared
	for i := range status.Domains {
		status.Domains[i].Name = v.policy.Show(redact.Domain, status.Domains[i].Name)
	}
	answer(w, http.StatusOK, agentStatus{Version: version, Status: status})
}
