package exporters

import "github.com/fanlight-io/fanlight/redact"

// The fields that encoders ask for by name.
var (
	fieldSchema     = redact.FieldNamed("schema_version")
	fieldNode       = redact.FieldNamed("node")
	fieldBootID     = redact.FieldNamed("boot_id")
	fieldTime       = redact.FieldNamed("time")
	fieldKind       = redact.FieldNamed("kind")
	fieldAction     = redact.FieldNamed("action")
	fieldSource     = redact.FieldNamed("source")
	fieldGroup      = redact.FieldNamed("group")
	fieldHost       = redact.FieldNamed("host")
	fieldHostMAC    = redact.FieldNamed("host_mac")
	fieldQuerier    = redact.FieldNamed("querier")
	fieldQuerierMAC = redact.FieldNamed("querier_mac")
)

// subject is what constant parts of a line depend on.
type subject struct{ kind, action, node, bootID string }

func (s subject) event() string { return s.kind + "." + s.action }

// level is how much an event deserves attention.
type level uint8

const (
	info   level = iota // normal operation
	low                 // worth a look when something else is wrong
	medium              // somebody did not get what was wanted
)

// meaning is what an event says to a security system, in words of no format.
type meaning struct {
	title  string
	level  level
	failed bool
}

var meanings = map[string]meaning{
	"replication.first":    {"Multicast stream started", info, false},
	"replication.fanout":   {"Multicast fan-out changed", info, false},
	"replication.periodic": {"Multicast stream totals", info, false},
	"replication.sample":   {"Multicast packet forwarded", info, false},

	"drop.packet": {"Multicast packet dropped", low, true},
	"drop.copy":   {"Multicast copy lost", medium, true},

	"membership.joined":  {"Multicast group joined", info, false},
	"membership.left":    {"Multicast group left", info, false},
	"membership.expired": {"Multicast membership expired", info, false},
	"membership.changed": {"Multicast membership changed", info, false},
	"membership.refused": {"Multicast membership refused", medium, true},

	"querier.elected":        {"Multicast querier elected", info, false},
	"querier.heard":          {"Multicast querier heard", info, false},
	"querier.replaced":       {"Multicast querier replaced", low, false},
	"querier.lost":           {"Multicast querier lost", low, true},
	"querier.router_learned": {"Multicast router learned", info, false},
	"querier.router_expired": {"Multicast router expired", low, false},

	"loss.ring":   {"Events lost in a kernel ring", medium, true},
	"loss.decode": {"Events lost in decoding", medium, true},
	"loss.redact": {"Events lost in redaction", medium, true},
	"loss.queue":  {"Events lost in a queue", medium, true},
	"loss.spool":  {"Events lost in a spool", medium, true},
	"loss.export": {"Events lost in export", medium, true},

	"stream.first":          {"Multicast stream observed", info, false},
	"stream.source_added":   {"Multicast group has another source", low, false},
	"stream.source_changed": {"Multicast group changed its source", low, false},
	"stream.silent":         {"Multicast stream silent", medium, true},
	"stream.resumed":        {"Multicast stream resumed", info, false},
	"stream.ttl_changed":    {"Multicast stream changed its TTL", low, false},
	"stream.dscp_changed":   {"Multicast stream changed its DSCP", low, false},
	"stream.ended":          {"Multicast stream ended", info, false},
	"stream.refused":        {"Multicast streams not counted apart", medium, true},
}

func (s subject) meaning() meaning {
	if m, ok := meanings[s.event()]; ok {
		return m
	}
	return meaning{title: "Multicast event"} // the policy hides kind or action
}

// actor is the address and the Ethernet address of whoever did what an event
// tells: it stands where a format has one place for the source.
func (s subject) actor() []redact.FieldID {
	switch s.kind {
	case "membership":
		return []redact.FieldID{fieldHost, fieldHostMAC}
	case "querier":
		return []redact.FieldID{fieldQuerier, fieldQuerierMAC}
	}
	return []redact.FieldID{fieldSource}
}

// isEgress reports whether the event's interface is where packets leave.
func (s subject) isEgress() bool { return s.event() == "drop.copy" }

// numbers are the levels as CEF, LEEF and event.severity of ECS have them: 0 to
// 3 is low, 4 to 6 medium.
var numbers = [...]string{info: "1", low: "3", medium: "6"}

func (l level) number() string { return numbers[l] }
