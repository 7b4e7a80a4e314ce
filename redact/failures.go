package redact

import "iter"

// failure is why an event or a label could not be redacted, and so was
// dropped.
type failure uint8

const (
	noFailure failure = iota
	unknownKind
	unknownAction
	unknownProtocol
	unknownFilterMode
	unknownDirection
	badReason
	badTime
	badLabels
	missingKey
	rulePanic
	numFailures
)

var failureNames = [numFailures]string{
	unknownKind:       "unknown_kind",
	unknownAction:     "unknown_action",
	unknownProtocol:   "unknown_protocol",
	unknownFilterMode: "unknown_filter_mode",
	unknownDirection:  "unknown_direction",
	badReason:         "bad_reason",
	badTime:           "bad_time",
	badLabels:         "bad_labels",
	missingKey:        "missing_key",
	rulePanic:         "panic",
}

// Failures yields how many events were dropped by each reason because they
// could not be redacted; only bad_labels counts metric series instead.
func (p *Policy) Failures() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for f := noFailure + 1; f < numFailures; f++ {
			if !yield(failureNames[f], p.failures[f].Load()) {
				return
			}
		}
	}
}
