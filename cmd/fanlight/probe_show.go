package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/fanlight-io/fanlight/collector"
)

func showProbe(e env, sinks []collector.SinkStatus, inJSON bool) error {
	if inJSON {
		return json.NewEncoder(e.stdout).Encode(sinks)
	}
	return writeSinks(e.stdout, sinks)
}

// verdict names the exporters that miss something.
func verdict(sinks []collector.SinkStatus) error {
	var wrong []string
	for i := range sinks {
		s := &sinks[i]
		switch lost := s.TotalLost(); {
		case !s.Balanced() && s.Waiting == 0:
			wrong = append(wrong, fmt.Sprintf("%s does not account for all events", s.Name))
		case lost > 0 || s.Waiting > 0:
			wrong = append(wrong, fmt.Sprintf("%s lost %d, %d wait", s.Name, lost, s.Waiting))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", errProbe, strings.Join(wrong, "; "))
}
