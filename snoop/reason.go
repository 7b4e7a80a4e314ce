package snoop

// reason says why a message, or a record in it, was not acted on.
type reason uint8

const (
	accepted reason = iota
	truncated
	badLength
	badVersion
	badIPChecksum
	badChecksum
	badTTL
	noRouterAlert
	fragment
	unknownProtocol
	unknownType
	unknownRecord
	badSource
	badDestination
	badGroup
	linkLocalGroup
	badScope
	notAllowed
	ssmVersion
	ssmExclude
	olderHost
	notMember
	sourceLimit
	groupLimit
	portLimit
	portGroupLimit
	hostLimit
	vlanLimit
	querierGuard
	routerGuard
	memberLimit
	totalSourceLimit
	numReasons
)

var reasonNames = [numReasons]string{
	accepted:        "",
	truncated:       "truncated",
	badLength:       "bad_length",
	badVersion:      "bad_version",
	badIPChecksum:   "bad_ip_checksum",
	badChecksum:     "bad_checksum",
	badTTL:          "bad_ttl",
	noRouterAlert:   "no_router_alert",
	fragment:        "fragment",
	unknownProtocol: "unknown_protocol",
	unknownType:     "unknown_type",
	unknownRecord:   "unknown_record_type",
	badSource:       "bad_source",
	badDestination:  "bad_destination",
	badGroup:        "bad_group",
	linkLocalGroup:  "link_local_group",
	badScope:        "bad_scope",
	notAllowed:      "not_allowed",
	ssmVersion:      "ssm_version",
	ssmExclude:      "ssm_exclude",
	olderHost:       "older_host",
	notMember:       "not_member",
	sourceLimit:     "source_limit",
	groupLimit:      "group_limit",
	portLimit:       "port_limit",
	portGroupLimit:  "port_group_limit",
	hostLimit:       "host_limit",
	vlanLimit:       "vlan_limit",
	querierGuard:    "querier_guard",
	routerGuard:     "router_guard",

	memberLimit:      "member_limit",
	totalSourceLimit: "total_source_limit",
}

func (r reason) String() string { return reasonNames[r] }

// harmless reports whether a record with this outcome is ordinary traffic, so
// that its message counts as good.
func (r reason) harmless() bool {
	switch r {
	case accepted, linkLocalGroup, badScope, olderHost, notMember:
		return true
	}
	return false
}

// Reasons returns every reason that counters and refusals can have.
func Reasons() []string { return append([]string(nil), reasonNames[1:]...) }
