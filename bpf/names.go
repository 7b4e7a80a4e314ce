package bpf

// A DropReason says why a packet was not forwarded. The numbers are those of
// the kernel program.
type DropReason uint8

// A CopyFailure says why a wanted copy did not reach its port's peer.
type CopyFailure uint8

// A Verdict is the one fate of a packet.
type Verdict uint8

// A Direction says which way an observed packet goes through an interface.
type Direction uint8

// The directions.
const (
	In  = Direction(wireDirectionDIRECTION_IN)  // the interface received it
	Out = Direction(wireDirectionDIRECTION_OUT) // the host sends it
)

// A WatchOutcome is what happens to an observed packet beside being counted to
// its stream.
type WatchOutcome uint8

// WatchTableFull: a stream found no room, and its packet was counted to the
// interface's entry for all.
const WatchTableFull = WatchOutcome(wireWatchOutcomeWATCH_TABLE_FULL)

// A Table is a kernel table that can be full.
type Table uint8

var dropReasonNames = [...]string{
	wireDropReasonDROP_NONE:             "none",
	wireDropReasonDROP_NOT_ALLOWED:      "not_allowed",
	wireDropReasonDROP_UNREGISTERED:     "unregistered",
	wireDropReasonDROP_WRONG_SOURCE:     "wrong_source",
	wireDropReasonDROP_BAD_SOURCE:       "bad_source",
	wireDropReasonDROP_SCOPE:            "scope",
	wireDropReasonDROP_TTL:              "ttl",
	wireDropReasonDROP_MALFORMED:        "malformed",
	wireDropReasonDROP_BAD_CHECKSUM:     "bad_checksum",
	wireDropReasonDROP_CONTROL_FRAGMENT: "control_fragment",
	wireDropReasonDROP_RATE_LIMITED:     "rate_limited",
}

var copyFailureNames = [...]string{
	wireCopyFailureCOPY_OK:           "ok",
	wireCopyFailureCOPY_NO_DEVICE:    "no_device",
	wireCopyFailureCOPY_NO_MEMORY:    "no_memory",
	wireCopyFailureCOPY_PORT_DOWN:    "port_down",
	wireCopyFailureCOPY_BACKLOG_FULL: "backlog_full",
	wireCopyFailureCOPY_RING_FULL:    "ring_full",
	wireCopyFailureCOPY_QDISC_FULL:   "qdisc_full",
	wireCopyFailureCOPY_TX_DROPPED:   "tx_dropped",
	wireCopyFailureCOPY_TOO_BIG:      "too_big",
	wireCopyFailureCOPY_LOOP:         "loop",
	wireCopyFailureCOPY_OTHER:        "other",
}

var verdictNames = [...]string{
	wireVerdictVERDICT_FORWARDED: "forwarded",
	wireVerdictVERDICT_PASSED:    "passed",
	wireVerdictVERDICT_DROPPED:   "dropped",
}

var tableNames = [...]string{
	wireTableTABLE_STREAMS:       "streams",
	wireTableTABLE_DROPS:         "drops",
	wireTableTABLE_COPY_FAILURES: "copy_failures",
}

var directionNames = [...]string{
	wireDirectionDIRECTION_IN:  "receive",
	wireDirectionDIRECTION_OUT: "transmit",
}

var watchOutcomeNames = [...]string{
	wireWatchOutcomeWATCH_MALFORMED:    "malformed",
	wireWatchOutcomeWATCH_TABLE_FULL:   "table_full",
	wireWatchOutcomeWATCH_RATE_LIMITED: "rate_limited",
	wireWatchOutcomeWATCH_RING_FULL:    "ring_full",
}

var actionNames = [...]string{
	wireEventActionACTION_FIRST:    "first",
	wireEventActionACTION_FANOUT:   "fanout",
	wireEventActionACTION_PERIODIC: "periodic",
	wireEventActionACTION_SAMPLE:   "sample",
	wireEventActionACTION_PACKET:   "packet",
	wireEventActionACTION_COPY:     "copy",
}

func nameOf[T ~uint8](names []string, v T) string {
	if int(v) < len(names) {
		return names[v]
	}
	return "unknown"
}

// String returns the reason as in records and metric labels.
func (r DropReason) String() string { return nameOf(dropReasonNames[:], r) }

// String returns the reason as in records and metric labels.
func (f CopyFailure) String() string { return nameOf(copyFailureNames[:], f) }

// String returns the verdict as in metric labels.
func (v Verdict) String() string { return nameOf(verdictNames[:], v) }

// String returns the direction as in records and metric labels.
func (d Direction) String() string { return nameOf(directionNames[:], d) }

// String returns the outcome as in metric labels.
func (o WatchOutcome) String() string { return nameOf(watchOutcomeNames[:], o) }

// String returns the table's name as in metric labels.
func (t Table) String() string { return nameOf(tableNames[:], t) }

// DropReasons returns every reason that a packet can be dropped for.
func DropReasons() []DropReason {
	reasons := make([]DropReason, 0, len(dropReasonNames)-1)
	for r := 1; r < len(dropReasonNames); r++ {
		reasons = append(reasons, DropReason(r))
	}
	return reasons
}

// CopyFailures returns every reason that a copy can be lost for.
func CopyFailures() []CopyFailure {
	failures := make([]CopyFailure, 0, len(copyFailureNames)-1)
	for f := 1; f < len(copyFailureNames); f++ {
		failures = append(failures, CopyFailure(f))
	}
	return failures
}
